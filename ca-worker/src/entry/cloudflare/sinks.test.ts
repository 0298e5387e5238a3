import { describe, expect, test } from "vitest";
import type { AuditEvent } from "../../audit/event.ts";
import { openSink } from "./sinks.ts";

const caller = {
  issuer: "https://oidc.example.com",
  subject: "system:serviceaccount:foo:sleep",
  pod: "sleep-1",
  podUid: "0f1e",
  node: "node-1",
};
const issued = {
  spiffeId: "spiffe://cluster.local/ns/foo/sa/sleep",
  rule: "default",
  keyKind: "p256" as const,
  serialNumber: "ab",
  notAfter: "2026-11-24T13:00:00.000Z",
  authority: "first",
};
const common = { time: "2026-11-24T12:00:00.000Z", requestId: "4f" };
const signing: AuditEvent = { event: "signing", ...common, ...caller, ...issued };
const signed: AuditEvent = { event: "signed", ...common, ...caller, ...issued };
const refused: AuditEvent = {
  event: "refused",
  ...common,
  code: "token-missing",
  reason: "the request has no bearer token",
};

describe("Analytics Engine as a sink", () => {
  const points: unknown[] = [];
  const env = { FIGURES: { writeDataPoint: (point: unknown) => points.push(point) } };

  test("gets a point for each outcome, its blobs in the order that queries rely on", async () => {
    await openSink(env, { type: "analytics", binding: "FIGURES" })?.send([signing, signed, refused]);
    expect(points).toEqual([
      {
        indexes: ["system:serviceaccount:foo:sleep"],
        blobs: [
          ...["signed", "", "https://oidc.example.com", "system:serviceaccount:foo:sleep", "node-1"],
          ...["spiffe://cluster.local/ns/foo/sa/sleep", "default", "p256", "first"],
        ],
      },
      { indexes: [""], blobs: ["refused", "token-missing", "", "", "", "", "", "", ""] },
    ]);
  });

  test("gets an index of at most 96 bytes", async () => {
    points.splice(0);
    const subject = `system:serviceaccount:foo:${"a".repeat(253)}`;
    await openSink(env, { type: "analytics", binding: "FIGURES" })?.send([{ ...signed, subject }]);
    expect(points).toMatchObject([{ indexes: [subject.slice(0, 96)] }]);
  });
});

describe("a queue as a sink", () => {
  const queueThat = (sendBatch: (messages: readonly unknown[]) => Promise<void>) =>
    openSink({ QUEUE: { sendBatch } }, { type: "queue", binding: "QUEUE", required: true });

  test("gets each event as the body of a message, as JSON", async () => {
    const batches: unknown[] = [];
    await queueThat(async (messages) => void batches.push(messages))?.send([signing, refused]);
    expect(batches).toEqual([
      [
        { body: signing, contentType: "json" },
        { body: refused, contentType: "json" },
      ],
    ]);
  });

  test("takes no more at once than Queues do, however long the names in the events are", () => {
    const long = "x".repeat(253);
    const largest: AuditEvent = {
      ...signing,
      ...{ issuer: "i".repeat(512), subject: `system:serviceaccount:${long}:${long}`, tokenId: "t".repeat(256) },
      ...{ pod: long, node: long, agentPod: long, nodeUid: "u".repeat(128), podUid: "u".repeat(128) },
      ...{ spiffeId: "s".repeat(2048), rule: "r".repeat(128), authority: "a".repeat(64) },
    };
    const most = queueThat(async () => {})?.maxEvents ?? 0;
    expect(most).toBeLessThanOrEqual(100);
    expect(most * JSON.stringify(largest).length).toBeLessThan(256_000);
  });

  test("that fails can be tried again, and its own words are not repeated", async () => {
    const sink = queueThat(() => Promise.reject(new Error("Queue sendBatch failed: secret")));
    await expect(sink?.send([signing])).rejects.toMatchObject({
      name: "SignetError",
      message: expect.not.stringContaining("secret"),
      retryAfterSeconds: 5,
    });
  });
});

test.each([
  { kind: "queue", env: { A: { writeDataPoint() {} } } },
  { kind: "queue", env: { A: "text" } },
  { kind: "analytics", env: { A: { sendBatch() {} } } },
  { kind: "analytics", env: {} },
] as const)("a binding that is no $kind is none", ({ kind, env }) => {
  expect(openSink(env, { type: kind, binding: "A", required: false } as never)).toBeUndefined();
});
