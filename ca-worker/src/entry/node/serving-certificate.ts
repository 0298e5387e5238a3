import { generateKeyPairSync } from "node:crypto";
import type { Clock, Logger } from "@signet/shared/deps";
import { DerReader } from "@signet/shared/der";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { encodePem } from "@signet/shared/pem";
import type { AuthoritySource } from "../../authority/source.ts";
import { readPublicKey } from "../../request/public-key.ts";
import { requireIssuer } from "../../sign/require-issuer.ts";
import { type ServerCertificate, type TlsContext, type TlsTaker, tlsRules } from "./server-certificate.ts";

const lifeSeconds = 86_400;

export interface ServingCertificateOptions {
  readonly dnsNames: readonly string[];
  readonly authorities: AuthoritySource;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Made {
  /** PEM: what node:tls takes. The key is nowhere else. */
  readonly key: string;
  /** Leaf and intermediates; who trusts the root has it. */
  readonly cert: string;
  /** The intermediates, by which a change of authority shows. */
  readonly chain: string;
  readonly renewAt: number;
  readonly notAfter: number;
}

/** The certificate of the CA's own https server, from its own active authority. */
export class ServingCertificate implements ServerCertificate {
  readonly changes = { taken: 0, failed: 0 };
  readonly #options: ServingCertificateOptions;
  #made: Made;
  #failing = false;

  private constructor(options: ServingCertificateOptions, made: Made) {
    this.#options = options;
    this.#made = made;
  }

  /** @throws SignetError `cannot-sign` when nothing can be signed now */
  static async make(options: ServingCertificateOptions): Promise<ServingCertificate> {
    try {
      return new ServingCertificate(options, await make(options));
    } catch (error) {
      const { message } = asSignetError(error, "cannot-sign");
      throw new SignetError("cannot-sign", `--tls-names: no certificate can be made for this server: ${message}`, {
        cause: error,
      });
    }
  }

  get context(): TlsContext {
    const { key, cert } = this.#made;
    return { key, cert, ...tlsRules };
  }

  get notAfter(): number {
    return this.#made.notAfter;
  }

  /**
   * Gives the server a new certificate when half of this one's life is over or another authority signs. Connections that
   * are open stay. Never throws: while nothing can be signed the old certificate serves.
   */
  async renew(server: TlsTaker): Promise<void> {
    const { authorities, clock, logger } = this.#options;
    try {
      const { authority } = requireIssuer((await authorities.current()).issuer);
      if (clock() < this.#made.renewAt && authority.chain.join("") === this.#made.chain) return;
      this.#made = await make(this.#options);
      server.setSecureContext(this.context);
      this.changes.taken++;
      logger.info({ event: "serving-certificate", authority: authority.id }, "the server's certificate is renewed");
      this.#failing = false;
    } catch (error) {
      const { code, message } = asSignetError(error, "cannot-sign");
      this.changes.failed++;
      if (!this.#failing) {
        logger.error(
          { event: "serving-certificate", code, error: message },
          "the server's certificate cannot be renewed",
        );
      }
      this.#failing = true;
    }
  }
}

async function make({ dnsNames, authorities, clock }: ServingCertificateOptions): Promise<Made> {
  const { authority, issueServing } = requireIssuer((await authorities.current()).issuer);
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { format: "der", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
  });
  const { der, notAfter } = await issueServing({
    publicKey: readPublicKey(new DerReader(publicKey)),
    dnsNames,
    ttlSeconds: lifeSeconds,
  });
  const chain = authority.chain.join("");
  const now = clock();
  // Near its authority's end a certificate is shorter.
  const cert = encodePem("CERTIFICATE", der) + chain;
  return { key: privateKey, cert, chain, renewAt: now + (notAfter - now) / 2, notAfter };
}
