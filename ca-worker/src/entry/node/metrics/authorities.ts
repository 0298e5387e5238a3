import { Gauge, type Registry } from "prom-client";
import type { Authorities } from "../../../authority/source.ts";
import type { AuthoritySources } from "../../../authority/sources.ts";

type Numbers = Readonly<Record<string, { help: string; of: (current: Authorities | undefined) => number | undefined }>>;

const gauges: Numbers = {
  signet_ca_authority_ready: {
    help: "Whether an authority of this trust domain can sign now: 1 or 0",
    of: (current) => (activeOf(current) === undefined ? 0 : 1),
  },
  signet_ca_authority_sequence: {
    help: "Sequence of the authority document that is served",
    of: (current) => current?.bundle.sequence,
  },
  signet_ca_authority_not_after_timestamp_seconds: {
    help: "When the chain of the active authority ends",
    of: (current) => activeOf(current)?.notAfter,
  },
};

/** What the authorities of each trust domain are like, whenever somebody asks; a source remembers for half a minute. */
export function authorityMetrics(authorities: AuthoritySources, registry: Registry): void {
  for (const [name, { help, of }] of Object.entries(gauges)) {
    new Gauge({
      ...{ name, help, labelNames: ["trust_domain"], registers: [registry] },
      async collect() {
        this.reset();
        for (const source of authorities) {
          const value = of(await source.current().catch(() => undefined));
          if (value !== undefined) this.set({ trust_domain: source.trustDomain.name }, value);
        }
      },
    });
  }
}

function activeOf(current: Authorities | undefined) {
  const issuer = current?.issuer;
  return issuer === undefined || issuer instanceof Error ? undefined : issuer.authority;
}
