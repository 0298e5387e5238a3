import type { Logger } from "@signet/shared/deps";
import { Counter, Gauge, type Registry } from "prom-client";
import { type Abuse, abuses, type HttpServer } from "../http-server.ts";
import type { ServerCertificate } from "../server-certificate.ts";

/** Counts connections that are ended, and tells of each at the level `debug`: strangers must not fill the log. */
export function abuseCounter(registry: Registry, logger: Logger): (reason: Abuse, code?: string) => void {
  const counter = new Counter({
    name: "signet_ca_connections_ended_total",
    help: "Connections and streams that were ended for what their client did",
    labelNames: ["reason"],
    registers: [registry],
  });
  for (const reason of abuses) counter.inc({ reason }, 0);
  return (reason, code) => {
    counter.inc({ reason });
    logger.debug(
      { event: "connection-ended", reason, code },
      "a connection or stream was ended for what its client did",
    );
  };
}

export function connectionMetrics(
  server: Pick<HttpServer, "connections">,
  certificate: ServerCertificate | undefined,
  registry: Registry,
): void {
  const numbers: Readonly<Record<string, { help: string; value: () => number }>> = {
    signet_ca_connections: { help: "Open connections of clients", value: () => server.connections },
    ...(certificate && {
      signet_ca_tls_certificate_not_after_timestamp_seconds: {
        help: "When the certificate of this server ends",
        value: () => certificate.notAfter,
      },
    }),
  };
  for (const [name, { help, value }] of Object.entries(numbers)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  }
  if (certificate === undefined) return;
  new Counter({
    name: "signet_ca_tls_certificate_changes_total",
    help: "Looks for another server certificate by result: taken, or failed, where the one at hand goes on serving",
    labelNames: ["result"],
    registers: [registry],
    collect() {
      this.reset();
      this.inc({ result: "taken" }, certificate.changes.taken);
      this.inc({ result: "failed" }, certificate.changes.failed);
    },
  });
}
