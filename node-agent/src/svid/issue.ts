import { asSignetError, type SignetError } from "@signet/shared/errors";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import { verifyAnswer } from "../ca/answer.ts";
import type { TrustBundleStore } from "../ca/bundle.ts";
import type { CaClient } from "../ca/client.ts";
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
}

export interface IssueFor {
  readonly token: string;
  readonly spiffeId: SpiffeId;
  readonly urgent: boolean;
}

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
  const { metrics, now } = deps;
  return async ({ token, spiffeId, urgent }) => {
    const key = generateKey();
    const csr = createCsr(key, spiffeId);
    const began = now();
    try {
      const answer = await client.issue({ token, csr, ttlSeconds, urgent });
      metrics.caSeconds.observe(now() - began);
      bundles.offer(answer.trustBundle);
      const bundle = bundles.current;
      if (bundle === undefined) throw new TypeError("a bundle that was taken is known");
      const leaf = verifyAnswer(answer, { spiffeId, publicKey: key.publicKey, bundle, now: now() });
      metrics.caAnswered(now());
      metrics.issued("issued");
      return {
        secret: EncodedSecret.ofCertificate(leaf.serialNumber, leaf.chainPem, key.privateKeyPem),
        serialNumber: leaf.serialNumber,
        receivedAt: now(),
        notBefore: leaf.notBefore,
        notAfter: leaf.notAfter,
      };
    } catch (caught) {
      const error: SignetError = asSignetError(caught, "ca-answer-invalid");
      metrics.issued(error.code);
      throw error;
    }
  };
}
