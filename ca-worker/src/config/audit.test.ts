import { describe, expect, test } from "vitest";
import { parseConfig } from "../config.ts";

const withAudit = (audit: unknown) =>
  parseConfig(
    JSON.stringify({
      trustDomain: "cluster.local",
      authority: { store: "env:A" },
      issuers: [{ issuer: "https://a.example", audiences: ["signet-ca"], keys: "discovery" }],
      ...(audit !== undefined && { audit }),
    }),
    "ca.jsonc",
  ).audit;

describe("where audit events go", () => {
  test("into the log, unless told", () => {
    expect(withAudit(undefined)).toEqual({ sinks: [{ type: "log" }] });
  });

  test("to each sink, which is required only when that is said", () => {
    const sinks = [
      { type: "log" },
      { type: "https", url: "https://siem.example/in", authorization: "env:SIEM_TOKEN", required: true },
      { type: "queue", binding: "AUDIT_QUEUE" },
      { type: "analytics", binding: "AUDIT_FIGURES" },
    ];
    expect(withAudit({ sinks })).toEqual({
      sinks: [
        { type: "log" },
        { ...sinks[1], timeout: 3 },
        { ...sinks[2], required: false },
        { type: "analytics", binding: "AUDIT_FIGURES" },
      ],
    });
  });

  test.each([
    { fault: "no sink at all", audit: { sinks: [] }, tells: "audit.sinks: at least one sink is needed" },
    { fault: "a kind that is none", audit: { sinks: [{ type: "syslog" }] }, tells: "audit.sinks.0.type" },
    { fault: "an unknown key", audit: { sinks: [{ type: "log", required: true }] }, tells: "audit.sinks.0.required" },
    {
      fault: "plain http to elsewhere",
      audit: { sinks: [{ type: "https", url: "http://siem.example/in" }] },
      tells: "audit.sinks.0.url: must be an https URL",
    },
    {
      fault: "credentials in the URL",
      audit: { sinks: [{ type: "https", url: "https://user:password@siem.example/in" }] },
      tells: "audit.sinks.0.url: must be an https URL",
    },
    {
      fault: "a secret in place of its location",
      audit: { sinks: [{ type: "https", url: "https://siem.example/in", authorization: "Bearer hunter2" }] },
      tells: "audit.sinks.0.authorization: must be",
    },
    {
      fault: "a timeout that outlasts the client",
      audit: { sinks: [{ type: "https", url: "https://siem.example/in", timeout: "1m" }] },
      tells: "audit.sinks.0.timeout: must be from 1s to 10s",
    },
    { fault: "no binding", audit: { sinks: [{ type: "queue" }] }, tells: "audit.sinks.0.binding: missing" },
    {
      fault: "a required sink that never tells of its failures",
      audit: { sinks: [{ type: "analytics", binding: "A", required: true }] },
      tells: "audit.sinks.0.required: Analytics Engine takes samples",
    },
    {
      fault: "the same sink twice",
      audit: {
        sinks: [
          { type: "queue", binding: "A" },
          { type: "queue", binding: "A", required: true },
        ],
      },
      tells: "audit.sinks: a sink stands twice",
    },
  ])("refuse $fault, and say which", ({ audit, tells }) => {
    let message = "";
    try {
      withAudit(audit);
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).toContain(tells);
    expect(message).not.toMatch(/hunter2|password/);
  });
});
