import type { Certificate } from "@signet/shared/ca-api";
import { asSignetError, type SignetError } from "@signet/shared/errors";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import { type VerifiedLeaf, verifyAnswer } from "../ca/answer.ts";
import type { TrustBundleStore } from "../ca/bundle.ts";
import type { CaClient } from "../ca/client.ts";
import type { Issuers } from "../ca/standing.ts";
import type { Deps } from "../deps.ts";
import { EncodedSecret } from "../sds/secret.ts";
import { createCsr } from "./csr.ts";
import { generateKey } from "./key.ts";

/** A certificate and its key, as the agent holds them. The key is inside `secret` and nowhere else. */
export interface Issued {
  readonly secret: EncodedSecret;
  readonly serialNumber: string;
  /** Seconds since the epoch. */
  readonly receivedAt: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly issuers: Issuers;
}

export interface IssueFor {
  readonly token: string;
  readonly spiffeId: SpiffeId;
  /** When the certificate in use runs out, in seconds since the epoch; undefined for a first one. */
  readonly expiresAt?: number | undefined;
  /** The try before failed. */
  readonly retry?: boolean;
}

// A certificate that is renewed at half of this leaves no time for an outage.
const shortLifeSeconds = 600;

/**
 * One try to get a certificate: fresh key, CSR, CA, checks.
 * @throws SignetError as `CaClient.issue` and `verifyAnswer`
 */
export type Issue = (what: IssueFor) => Promise<Issued>;

export interface IssueOptions {
  readonly client: CaClient;
  readonly bundles: TrustBundleStore;
  readonly ttlSeconds: number | undefined;
  readonly deps: Deps;
}

export function createIssue({ client, bundles, ttlSeconds, deps }: IssueOptions): Issue {
  const { log, metrics, now } = deps;
  let toldOfShortLives = false;
  const noteLife = ({ serialNumber, notAfter }: VerifiedLeaf) => {
    const seconds = Math.round(notAfter - now());
    const wished = Math.min(ttlSeconds ?? shortLifeSeconds, shortLifeSeconds);
    if (seconds >= wished / 2) return;
    metrics.shortLived++;
    if (!toldOfShortLives) log.warn({ serialNumber, seconds }, "the CA gives certificates that live very short");
    toldOfShortLives = true;
  };
  return async ({ token, spiffeId, expiresAt, retry = false }) => {
    const key = generateKey();
    const csr = createCsr(key, spiffeId);
    const take = (answer: Certificate): VerifiedLeaf => {
      bundles.offer(answer.trustBundle);
      const bundle = bundles.current;
      if (bundle === undefined) throw new TypeError("a bundle that was taken is known");
      return verifyAnswer(answer, { spiffeId, publicKey: key.publicKey, bundle, ttlSeconds, now: now() });
    };
    try {
      const leaf = await client.issue({ token, csr, ttlSeconds, expiresAt, retry, take });
      noteLife(leaf);
      metrics.caAnswered(now());
      metrics.issued("issued");
      return {
        secret: EncodedSecret.ofCertificate(leaf.serialNumber, leaf.chainPem, key.writePrivateKey()),
        serialNumber: leaf.serialNumber,
        receivedAt: now(),
        notBefore: leaf.notBefore,
        notAfter: leaf.notAfter,
        issuers: leaf.issuers,
      };
    } catch (caught) {
      const error: SignetError = asSignetError(caught, "ca-answer-invalid");
      metrics.issued(error.code);
      throw error;
    }
  };
}
