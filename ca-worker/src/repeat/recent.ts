import { toBase64 } from "@signet/shared/base64";
import type { CertificateRequest } from "@signet/shared/ca-api";
import type { Clock } from "@signet/shared/deps";
import type { Crypto } from "../crypto.ts";
import type { Caller, Entitlement, Grant, Issued } from "../types.ts";

// An agent that lost an answer asks again within half of this.
const rememberSeconds = 60;
// Who gets a certificate again gets nearly all of the life that it asked for.
const partOfLife = 0.1;
// With grant and certificate 2 to 3 KiB each.
const maxRequests = 4_096;

const bytes = new TextEncoder();

/** What a request led to. */
export interface Signed {
  readonly grant: Grant;
  readonly issued: Issued;
}

/**
 * A name for all that a certificate comes from: the verified token, what the policy gives for it now, and what is asked for.
 * Neither token nor CSR can be read from it.
 */
export async function requestKey(
  { workload }: Caller,
  entitlement: Entitlement,
  { csr, ttlSeconds }: CertificateRequest,
  crypto: Crypto,
): Promise<string> {
  const all = JSON.stringify([workload, entitlement, csr, ttlSeconds]);
  return toBase64(await crypto.sha256(bytes.encode(all)));
}

interface Remembered {
  /** That signed; compared as an object: it is another one after each change of the authorities. */
  readonly authority: object;
  readonly signed: Promise<Signed>;
  readonly until: number;
}

export interface RecentCertificatesOptions {
  readonly clock: Clock;
  /** Whether a request may wait for what another one has begun. Workers forbid it. */
  readonly mayWait: boolean;
}

/**
 * The certificates of the last minute, for requests that come again because their answer was lost: they get the same one,
 * without a second signature. It knows nothing of other instances, and promises nothing.
 */
export class RecentCertificates {
  readonly #options: RecentCertificatesOptions;
  readonly #requests = new Map<string, Remembered>();

  constructor(options: RecentCertificatesOptions) {
    this.#options = options;
  }

  /** How many requests it has in memory. */
  get size(): number {
    return this.#requests.size;
  }

  /**
   * What the request led to a moment ago, or what `sign` makes of it. A failure is remembered by nobody.
   * @param authority that would sign now
   */
  async once(
    key: string,
    authority: object,
    sign: () => Promise<Signed>,
  ): Promise<Signed & { readonly repeated: boolean }> {
    const { clock, mayWait } = this.#options;
    const known = this.#requests.get(key);
    if (known !== undefined && known.until > clock() && known.authority === authority) {
      return { ...(await known.signed), repeated: true };
    }
    const signing = sign();
    if (mayWait) this.#remember(key, { authority, signed: signing, until: clock() + rememberSeconds });
    try {
      const signed = await signing;
      const now = clock();
      const until = now + Math.min(rememberSeconds, (signed.issued.notAfter - now) * partOfLife);
      this.#remember(key, { authority, signed: Promise.resolve(signed), until });
      return { ...signed, repeated: false };
    } catch (error) {
      if (this.#requests.get(key)?.signed === signing) this.#requests.delete(key);
      throw error;
    }
  }

  #remember(key: string, remembered: Remembered): void {
    this.#requests.delete(key);
    // In the order of time: two looks for each that is added never let old ones pile up.
    for (let looks = 0; looks < 2; looks++) {
      const [oldest] = this.#requests;
      if (oldest === undefined) break;
      if (oldest[1].until > this.#options.clock() && this.#requests.size < maxRequests) break;
      this.#requests.delete(oldest[0]);
    }
    this.#requests.set(key, remembered);
  }
}
