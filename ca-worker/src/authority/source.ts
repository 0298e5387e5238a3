import type { TrustBundle } from "@signet/shared/ca-api";
import type { Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { Crypto } from "../crypto.ts";
import { createLeafIssuer, type LeafIssuer } from "../sign/issuer.ts";
import type { TextSource } from "../text-source.ts";
import { parseAuthorityDocument } from "./document.ts";
import { loadActiveAuthority, rootsOf, taintedKeyIdsOf } from "./load.ts";

/** What one reading of the document gives. */
export interface Authorities {
  readonly bundle: TrustBundle;
  /** Or why nothing can be signed now. */
  readonly issuer: LeafIssuer | SignetError;
}

export interface AuthoritySourceOptions {
  /** Where the authority document is kept. */
  readonly store: TextSource;
  readonly trustDomain: TrustDomain;
  readonly refreshHintSeconds: number;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As in `Platform`: lets a reading go on after its request. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

// Well under the time that agents take to see a new bundle, and no load for any store.
const rereadSeconds = 30;
const retrySeconds = 2;

/**
 * The authorities of this instance: read on first use, looked at again twice a minute. While the store can't be read, or
 * holds a document that is older or does not load, the last good one serves.
 */
export class AuthoritySource {
  readonly #options: AuthoritySourceOptions;
  #text: string | undefined;
  #current: Authorities | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(options: AuthoritySourceOptions) {
    this.#options = options;
  }

  get trustDomain(): TrustDomain {
    return this.#options.trustDomain;
  }

  /** @throws SignetError `authority-unavailable` or `authority-invalid` when no document was ever read */
  async current(): Promise<Authorities> {
    const { clock, logger, waitUntil } = this.#options;
    // A clock that was set back far makes them due, too.
    if (this.#current !== undefined && Math.abs(clock() - this.#readAt) < rereadSeconds) return this.#current;
    // While one request reads, the others go by what is at hand; one that ends on the way is not waited for.
    if (this.#current !== undefined) this.#readAt = clock() - rereadSeconds + retrySeconds;
    try {
      const reading = this.#read();
      // A request ends when its client hangs up: nobody may keep a new document away by that.
      waitUntil?.(reading.catch(() => undefined));
      const current = await reading;
      this.#readAt = clock();
      return current;
    } catch (error) {
      const known = unavailable(error);
      logger.error(
        {
          ...{ event: "authority", trustDomain: this.trustDomain.name, code: known.code, error: known.message },
          stale: this.#current !== undefined,
        },
        "authorities cannot be read",
      );
      if (this.#current === undefined) throw known;
      this.#readAt = clock() - rereadSeconds + retrySeconds;
      return this.#current;
    }
  }

  async #read(): Promise<Authorities> {
    const { store, trustDomain, refreshHintSeconds, crypto, clock, logger } = this.#options;
    const text = await store.read();
    if (text === this.#text && this.#current !== undefined) return this.#current;
    const document = parseAuthorityDocument(text);
    const { sequence } = document;
    const known = this.#current?.bundle.sequence ?? 0;
    if (sequence < known)
      throw new SignetError(
        "authority-invalid",
        `the document's sequence ${sequence} is below ${known}, which was already served`,
      );
    const roots = rootsOf(document);
    const taintedKeyIds = taintedKeyIdsOf(document);
    const issuer = await loadActiveAuthority(document, trustDomain, crypto)
      .then((authority) => createLeafIssuer(authority, crypto, clock))
      .catch((error: unknown) => asSignetError(error, "authority-invalid"));
    if (issuer instanceof SignetError && issuer.code !== "cannot-sign") throw issuer;
    // Another request has read the same meanwhile, and what it has is used already.
    if (text === this.#text && this.#current !== undefined) return this.#current;
    this.#text = text;
    const id = issuer instanceof SignetError ? null : issuer.authority.id;
    logger.info(
      {
        event: "authority",
        trustDomain: trustDomain.name,
        sequence,
        active: id,
        roots: roots.length,
        tainted: taintedKeyIds.length,
      },
      "authorities loaded",
    );
    const bundle: TrustBundle = { trustDomain: trustDomain.name, sequence, refreshHintSeconds, roots };
    this.#current = { bundle: taintedKeyIds.length === 0 ? bundle : { ...bundle, taintedKeyIds }, issuer };
    return this.#current;
  }
}

/** Whatever keeps the document from being read is one thing to those who ask for signatures. */
function unavailable(error: unknown): SignetError {
  const known = asSignetError(error, "authority-unavailable");
  if (known.code !== "source-unavailable") return known;
  const { message, retryAfterSeconds } = known;
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return new SignetError("authority-unavailable", message, { cause: known, ...wait });
}
