import { Gauge, type Registry } from "prom-client";
import type { AuthoritySources } from "../../../authority/sources.ts";
import { requireIssuer } from "../../../sign/require-issuer.ts";

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
