import { SignetError } from "@signet/shared/errors";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { AuthoritySource } from "./source.ts";

/** The authorities of each trust domain that a CA serves: every one has its own, and none signs for another. */
export class AuthoritySources implements Iterable<AuthoritySource> {
  /** Those of the CA's own trust domain. */
  readonly own: AuthoritySource;
  readonly #byName: ReadonlyMap<string, AuthoritySource>;

  constructor(own: AuthoritySource, others: readonly AuthoritySource[] = []) {
    this.own = own;
    this.#byName = new Map([own, ...others].map((source) => [source.trustDomain.name, source]));
  }

  /**
   * The authorities that sign for a trust domain.
   * @throws SignetError `internal`: the configuration lets no issuer speak for another trust domain
   */
  of(trustDomain: TrustDomain): AuthoritySource {
    const source = this.find(trustDomain.name);
    if (source === undefined) throw new SignetError("internal", `the trust domain ${trustDomain} has no authority`);
    return source;
  }

  /** Reads what is due, so that many who ask at once do not read each for itself. What fails shows when it is asked for. */
  async refresh(): Promise<void> {
    await Promise.allSettled([...this].map((source) => source.current()));
  }

  /** @returns undefined where the trust domain is not served */
  find(name: string): AuthoritySource | undefined {
    return this.#byName.get(name);
  }

  [Symbol.iterator](): Iterator<AuthoritySource> {
    return this.#byName.values();
  }
}
