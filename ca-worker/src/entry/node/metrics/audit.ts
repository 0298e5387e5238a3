import { caErrorCodes } from "@signet/shared/errors";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Audit } from "../../../audit.ts";
import { publicCode } from "../../../respond/problem.ts";

/** An audit that counts what goes through it. */
export function meteredAudit(audit: Audit, registry: Registry): Audit {
  const requests = new Counter({
    name: "signet_ca_certificate_requests_total",
    help: "Requests for a certificate by result: signed, repeated, or the code of the problem",
    labelNames: ["result"],
    registers: [registry],
  });
  // Series that are there from the start: a rate over one that appears with its first event misses that event.
  for (const result of ["signed", "repeated", ...caErrorCodes]) requests.inc({ result }, 0);
  const lastSigned = new Gauge({
    name: "signet_ca_last_signed_timestamp_seconds",
    help: "When the last certificate was signed",
    registers: [registry],
  });
  const batchItems = new Histogram({
    name: "signet_ca_batch_items",
    help: "Items of the requests to the batch route",
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    registers: [registry],
  });
  return {
    signing: (issuance) => audit.signing(issuance),
    signed(issuance) {
      requests.inc({ result: "signed" });
      lastSigned.setToCurrentTime();
      return audit.signed(issuance);
    },
    repeated(issuance) {
      requests.inc({ result: "repeated" });
      return audit.repeated(issuance);
    },
    refused(requestId, error, caller) {
      requests.inc({ result: publicCode(error) });
      return audit.refused(requestId, error, caller);
    },
    batch(requestId, items, agent) {
      batchItems.observe(items);
      audit.batch(requestId, items, agent);
    },
  };
}
