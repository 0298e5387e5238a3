import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { certificate as certificateSchema, nodeTokenHeader } from "@signet/shared/ca-api";
import * as v from "valibot";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { authorityFor, startCaInProcess } from "../support/ca-in-process.ts";
import { makeCsr } from "../support/csr.ts";
import { type EventReceiver, startEventReceiver } from "../support/event-receiver.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";

const node = makeNode("node-1");
const sleep = makePod("foo", "sleep", node);
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
let issuer: TokenIssuer;
let receiver: EventReceiver;
let open: Awaited<ReturnType<typeof authorityFor>>;
beforeAll(async () => {
  issuer = await TokenIssuer.create();
  receiver = await startEventReceiver();
  open = await authorityFor("cluster.local");
});
afterAll(() => receiver.stop());
beforeEach(() => {
  receiver.answer(204);
  receiver.clear();
});

/** A CA whose events go to the receiver, and how often its key has signed. */
async function startCa(sink: object = {}) {
  let signatures = 0;
  const config = {
    ...caConfig({ keys: issuer.jwks }),
    audit: { sinks: [{ type: "log" }, { type: "https", url: receiver.url, authorization: "env:SIEM", ...sink }] },
  };
  const ca = await startCaInProcess(config, {
    open: (location) => (location === "env:SIEM" ? { read: () => "Bearer siem" } : open(location)),
    crypto: {
      ...nodeCrypto,
      async importSigner(kind, pkcs8) {
        const signer = await nodeCrypto.importSigner(kind, pkcs8);
        return {
          kind,
          sign(data) {
            signatures++;
            return signer.sign(data);
          },
        };
      },
    },
  });
  const headers = async () => ({
    "content-type": "application/json",
    authorization: `Bearer ${await issuer.token(sleep)}`,
    [nodeTokenHeader]: await issuer.token(agent),
  });
  const post = async (body: unknown, path = "/v1/certificates") =>
    ca.fetch(path, { method: "POST", headers: await headers(), body: JSON.stringify(body) });
  // The issuer tries itself once when it is made.
  await ca.fetch("/readyz");
  signatures = 0;
  return { ca, post, signatures: () => signatures };
}

describe("the record of a certificate", () => {
  test("is complete before it is signed, and says afterwards that it was", async () => {
    const { post, ca } = await startCa({ required: true });
    const response = await post({ csr: makeCsr() });
    const certificate = v.parse(certificateSchema, await response.json());
    await ca.flush();
    const common = {
      requestId: response.headers.get("x-request-id"),
      issuer: issuer.issuer,
      subject: "system:serviceaccount:foo:sleep",
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      pod: sleep.pod.name,
      podUid: sleep.pod.uid,
      node: "node-1",
      nodeUid: node.uid,
      agentPod: agent.pod.name,
      spiffeId: "spiffe://cluster.local/ns/foo/sa/sleep",
      rule: "default",
      keyKind: "p256",
      serialNumber: certificate.serialNumber,
      notAfter: expect.stringContaining(certificate.notAfter.slice(0, 19)),
      authority: expect.any(String),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    };
    expect(receiver.events).toEqual([
      { event: "signing", ...common },
      { event: "signed", ...common },
    ]);
    expect(receiver.headers.every(({ authorization }) => authorization === "Bearer siem")).toBe(true);
    // The same as lines of the log, whose own time they bear.
    const { time: _, ...fields } = common;
    const lines = ca
      .tail()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual({ event: "signing", ...fields, level: "info", message: expect.any(String) });
    expect(lines).toContainEqual({ event: "signed", ...fields, level: "info", message: expect.any(String) });
  });

  test("of a refusal says why, and who asked once that is certain", async () => {
    const { post, ca } = await startCa();
    await ca.fetch("/v1/certificates", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    await ca.flush();
    await post({ csr: "no CSR" });
    await ca.flush();
    const [stranger, known] = receiver.events;
    expect(stranger).toEqual({
      ...{ event: "refused", time: expect.any(String), requestId: expect.any(String), code: "token-missing" },
      reason: "the request has no bearer token",
    });
    expect(known).toMatchObject({ event: "refused", code: "malformed-csr", pod: sleep.pod.name, node: "node-1" });
  });

  test("of a batch has an event for each item, under the request's id and the item's place", async () => {
    const { ca, post } = await startCa({ required: true });
    const items = [
      { token: await issuer.token(sleep), csr: makeCsr() },
      { token: "none", csr: makeCsr() },
    ];
    const response = await post({ requests: items }, "/v1/certificates/batch");
    const id = response.headers.get("x-request-id");
    await ca.flush();
    expect(receiver.events.map(({ event, requestId }) => `${event} ${requestId}`).sort()).toEqual([
      `refused ${id}-1`,
      `signed ${id}-0`,
      `signing ${id}-0`,
    ]);
  });
});

describe("a sink that does not take the record", () => {
  test("stops signing where it is required, before the signature; and signing goes on when it is back", async () => {
    const { post, signatures } = await startCa({ required: true });
    receiver.answer(500);
    const response = await post({ csr: makeCsr() });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:cannot-sign" });
    expect(signatures()).toBe(0);

    receiver.answer(204);
    expect((await post({ csr: makeCsr() })).status).toBe(201);
    expect(signatures()).toBe(1);
  });

  test("stops each item of a batch likewise, and none of them is signed", async () => {
    const { post, signatures } = await startCa({ required: true });
    receiver.answer(403);
    const token = await issuer.token(sleep);
    const requests = [1, 2, 3].map(() => ({ token, csr: makeCsr() }));
    const response = await post({ requests }, "/v1/certificates/batch");
    const { results } = (await response.json()) as { results: { status: number }[] };
    expect(results.map(({ status }) => status)).toEqual([503, 503, 503]);
    expect(signatures()).toBe(0);
  });

  test("disturbs nobody where it is not required, and is complained about once", async () => {
    const { ca, post, signatures } = await startCa();
    receiver.answer(500);
    for (let n = 0; n < 3; n++) expect((await post({ csr: makeCsr() })).status).toBe(201);
    await ca.flush();
    expect(receiver.headers.length).toBeGreaterThan(0);
    expect(signatures()).toBe(3);
    expect(ca.tail().match(/audit events cannot be delivered/g)).toHaveLength(1);
  });
});
