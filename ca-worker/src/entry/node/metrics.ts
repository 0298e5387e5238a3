import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Audit } from "../../audit.ts";
import { publicCode } from "../../respond/problem.ts";

/** Counters over an audit, for `GET /metrics`. */
export function meteredAudit(audit: Audit): { audit: Audit; registry: Registry } {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "signet_ca_certificate_requests_total",
    help: "Requests for a certificate by result: signed, or the code of the problem",
    labelNames: ["result"],
    registers: [registry],
  });
  const lastSigned = new Gauge({
    name: "signet_ca_last_signed_timestamp_seconds",
    help: "When the last certificate was signed",
    registers: [registry],
  });
  return {
    registry,
    audit: {
      signed(...event) {
        requests.inc({ result: "signed" });
        lastSigned.setToCurrentTime();
        audit.signed(...event);
      },
      refused(requestId, error, caller) {
        requests.inc({ result: publicCode(error) });
        audit.refused(requestId, error, caller);
      },
    },
  };
}
