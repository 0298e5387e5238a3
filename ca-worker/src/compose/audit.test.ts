import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import type { AuditSink } from "../audit/sink.ts";
import type { Platform } from "../compose.ts";
import type { SinkConfig } from "../config/audit.ts";
import { webCrypto } from "../webcrypto.ts";
import { composeAudit } from "./audit.ts";

const queue: AuditSink = { name: "queue AUDIT", maxEvents: 50, send: async () => {} };
const platform: Platform = {
  clock: () => 1_000,
  setTimer: () => () => {},
  fetch: async () => new Response(null, { status: 204 }),
  logger: makeLogger(),
  crypto: webCrypto,
  open: (location) => (location === "env:SIEM" ? { read: () => "Bearer a" } : undefined),
  clusterIssuer: undefined,
};
const https = { type: "https", url: "https://siem.example/in", timeout: 3, required: true } as const;

describe("the sinks that a configuration names", () => {
  test("are opened, and required where it says so; the log is none of them", () => {
    const faults: string[] = [];
    const sinks: SinkConfig[] = [
      { type: "log" },
      { ...https, authorization: "env:SIEM" },
      { type: "queue", binding: "AUDIT", required: false },
    ];
    const { auditSinks } = composeAudit({ audit: { sinks } }, { ...platform, openSink: () => queue }, faults);
    expect(faults).toEqual([]);
    expect(auditSinks.map(({ status }) => status)).toMatchObject([
      { name: "https://siem.example/in", required: true },
      { name: "queue AUDIT", required: false },
    ]);
  });

  test("are faults where the platform has them not: no CA starts with less of a record than it was to keep", () => {
    const faults: string[] = [];
    const sinks: SinkConfig[] = [
      { type: "queue", binding: "AUDIT", required: true },
      { type: "analytics", binding: "FIGURES" },
      { ...https, authorization: "kv:A/b" },
    ];
    composeAudit({ audit: { sinks } }, platform, faults);
    expect(faults).toEqual([
      'audit.sinks.0.binding: there is no queue "AUDIT" on this platform',
      'audit.sinks.1.binding: there is no analytics "FIGURES" on this platform',
      'audit.sinks.2.authorization: "kv:A/b" cannot be used on this platform',
    ]);
  });
});
