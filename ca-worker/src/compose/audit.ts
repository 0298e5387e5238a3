import { Delivery } from "../audit/delivery.ts";
import { httpsSink } from "../audit/https-sink.ts";
import { recordingAudit } from "../audit/recording.ts";
import type { AuditSink } from "../audit/sink.ts";
import type { Audit } from "../audit.ts";
import type { Platform } from "../compose.ts";
import type { SinkConfig } from "../config/audit.ts";
import type { Config } from "../config.ts";
import { textAt } from "./text-at.ts";

/** An audit and the ways to its sinks. */
export interface ComposedAudit {
  readonly audit: Audit;
  readonly auditSinks: readonly Delivery[];
}

/** The audit of a configuration. Adds to `faults` what this platform has not. */
export function composeAudit({ audit }: Pick<Config, "audit">, platform: Platform, faults: string[]): ComposedAudit {
  const { clock, logger, waitUntil } = platform;
  const auditSinks = audit.sinks.flatMap((config, index): Delivery[] => {
    if (config.type === "log") return [];
    const sink = composeSink(config, `audit.sinks.${index}`, platform, faults);
    if (sink === undefined) return [];
    return [new Delivery({ sink, required: config.required ?? false, clock, logger, waitUntil })];
  });
  const log = audit.sinks.some(({ type }) => type === "log");
  return { audit: recordingAudit({ log, deliveries: auditSinks, clock, logger }), auditSinks };
}

function composeSink(
  config: Exclude<SinkConfig, { type: "log" }>,
  path: string,
  platform: Platform,
  faults: string[],
): AuditSink | undefined {
  const { clock, fetch, openSink } = platform;
  if (config.type !== "https") {
    const sink = openSink?.(config);
    if (sink === undefined) {
      faults.push(`${path}.binding: there is no ${config.type} "${config.binding}" on this platform`);
    }
    return sink;
  }
  const { url, timeout, authorization: location } = config;
  const authorization =
    location === undefined ? undefined : textAt(platform, location, `${path}.authorization`, faults);
  return httpsSink({ url, authorization, timeoutSeconds: timeout, fetch, clock });
}
