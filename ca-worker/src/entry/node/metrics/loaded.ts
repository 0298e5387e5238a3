import { Gauge, type Registry } from "prom-client";
import type { Issuer } from "../../../authenticate/service-account.ts";
import type { Policy } from "../../../authorize/policy.ts";

interface Loaded {
  /** Seconds since the epoch; undefined before the first success. */
  readonly loadedAt: number | undefined;
}

/** How old what the CA has read is: what is not read any more goes on serving, and only these numbers tell. */
export function loadedMetrics(issuers: readonly Issuer[], { denyLists }: Policy, registry: Registry): void {
  const ageOf = (name: string, help: string, label: string, sources: () => Iterable<readonly [string, Loaded]>) =>
    new Gauge({
      ...{ name, help, labelNames: [label], registers: [registry] },
      collect() {
        for (const [value, { loadedAt }] of sources())
          if (loadedAt !== undefined) this.set({ [label]: value }, loadedAt);
      },
    });
  ageOf(
    "signet_ca_issuer_keys_loaded_timestamp_seconds",
    "When the keys of an issuer of tokens were last read; never for keys in the configuration",
    "issuer",
    () => issuers.map(({ issuer, keys }) => [issuer, keys] as const),
  );
  ageOf("signet_ca_deny_list_loaded_timestamp_seconds", "When a deny list was last read", "list", () =>
    denyLists.map((list) => [list.name, list] as const),
  );
  new Gauge({
    ...{ name: "signet_ca_deny_list_entries", help: "Entries of a deny list", labelNames: ["list"] },
    registers: [registry],
    collect() {
      for (const { name, entries } of denyLists) this.set({ list: name }, entries);
    },
  });
}
