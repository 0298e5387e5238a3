import { Counter, Gauge, type Registry } from "prom-client";
import type { AuthoritySources } from "../../../authority/sources.ts";
import { requireIssuer } from "../../../sign/require-issuer.ts";
import type { Abuse, HttpServer } from "../http-server.ts";
import type { ServerCertificate } from "../server-certificate.ts";

/** What the authorities are like, of each trust domain, whenever somebody asks. */
export function authorityMetrics(authorities: AuthoritySources, registry: Registry): void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ["trust_domain"], registers: [registry] });
  const ready = gauge("signet_ca_authority_ready", "Whether an authority of this trust domain can sign now: 1 or 0");
  const sequence = gauge("signet_ca_authority_sequence", "Sequence of the authority document that is served");
  const end = gauge("signet_ca_authority_not_after_timestamp_seconds", "When the chain of the active authority ends");
  // Whichever of the three is asked first asks for all; the source itself remembers for half a minute.
  Object.assign(ready, {
    async collect() {
      for (const source of authorities) {
        const labels = { trust_domain: source.trustDomain.name };
        const current = await source.current().catch(() => undefined);
        const issuer = current?.issuer;
        const authority = issuer === undefined || issuer instanceof Error ? undefined : requireIssuer(issuer).authority;
        ready.set(labels, authority === undefined ? 0 : 1);
        if (current !== undefined) sequence.set(labels, current.bundle.sequence);
        if (authority !== undefined) end.set(labels, authority.notAfter);
      }
    },
  });
}

/** What becomes of connections. */
export function abuseCounter(registry: Registry): (reason: Abuse) => void {
  const counter = new Counter({
    name: "signet_ca_connections_ended_total",
    help: "Connections and streams that were ended for what their client did",
    labelNames: ["reason"],
    registers: [registry],
  });
  return (reason) => counter.inc({ reason });
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
