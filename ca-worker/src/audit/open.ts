import type { Audit } from "../audit.ts";
import type { Platform } from "../compose.ts";
import type { SinkConfig } from "../config/audit.ts";
import { Delivery } from "./delivery.ts";
import { httpsSink } from "./https-sink.ts";
import { recordingAudit } from "./recording.ts";
import type { AuditSink } from "./sink.ts";

/** An audit and the ways to its sinks. */
export interface OpenAudit {
  readonly audit: Audit;
  readonly auditSinks: readonly Delivery[];
}

/** The audit that a configuration asks for. Adds to `faults` what this platform has not. */
export function openAudit(
  { sinks }: { readonly sinks: readonly SinkConfig[] },
  platform: Platform,
  faults: string[],
): OpenAudit {
  const { clock, logger, waitUntil } = platform;
  const auditSinks = sinks.flatMap((config, index): Delivery[] => {
    if (config.type === "log") return [];
    const sink = openSink(config, platform);
    if (typeof sink !== "string") {
      return [new Delivery({ sink, required: config.required ?? false, clock, logger, waitUntil })];
    }
    faults.push(`audit.sinks.${index}.${sink}`);
    return [];
  });
  const log = sinks.some(({ type }) => type === "log");
  return { audit: recordingAudit({ log, deliveries: auditSinks, clock, logger }), auditSinks };
}

/** A sink, or the fault that there is none. */
function openSink(
  config: Exclude<SinkConfig, { type: "log" }>,
  { clock, fetch, open, openSink }: Platform,
): AuditSink | string {
  if (config.type !== "https") {
    return openSink?.(config) ?? `binding: there is no ${config.type} "${config.binding}" on this platform`;
  }
  const { url, timeout, authorization: location } = config;
  const authorization = location === undefined ? undefined : open(location);
  if (location !== undefined && authorization === undefined) {
    return `authorization: "${location}" cannot be used on this platform`;
  }
  return httpsSink({ url, authorization, timeoutSeconds: timeout, fetch, clock });
}
