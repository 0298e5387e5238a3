import { nodeTokenHeader } from "@signet/shared/ca-api";
import { agentServiceAccount } from "../support/ca-config.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, type TokenIssuer } from "../support/token-issuer.ts";

const size = 200;

/** A request to the CA. */
export interface Asked {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly certificates: number;
}

/**
 * Requests of many pods on one node, as its agent would send them. Each pairs a token with a CSR that it did not have
 * before, for 40,000 requests: the CA signs nothing twice that comes twice within a minute.
 */
export class Workloads {
  readonly #nodeToken: string;
  readonly #tokens: readonly string[];
  readonly #csrs: readonly string[];
  #asked = 0;

  private constructor(nodeToken: string, tokens: readonly string[], csrs: readonly string[]) {
    this.#nodeToken = nodeToken;
    this.#tokens = tokens;
    this.#csrs = csrs;
  }

  /** @param name the `iss` of the tokens, where it is another than the issuer's */
  static async make(issuer: TokenIssuer, name = issuer.issuer): Promise<Workloads> {
    const node = makeNode("node-1");
    const overrides = { claims: { iss: name } };
    const { namespace, name: account } = agentServiceAccount;
    const tokens = Array.from({ length: size }, (_, n) =>
      issuer.token(makePod(`ns-${n % 10}`, `account-${n}`, node), overrides),
    );
    return new Workloads(
      await issuer.token(makePod(namespace, account, node), overrides),
      await Promise.all(tokens),
      Array.from({ length: size }, () => makeCsr()),
    );
  }

  single(): Asked {
    const { token, csr } = this.#next();
    const headers = this.#headers({ authorization: `Bearer ${token}` });
    return { path: "/v1/certificates", headers, body: JSON.stringify({ csr }), certificates: 1 };
  }

  batch(certificates: number): Asked {
    const requests = Array.from({ length: certificates }, () => this.#next());
    return {
      path: "/v1/certificates/batch",
      headers: this.#headers({}),
      body: JSON.stringify({ requests }),
      certificates,
    };
  }

  #next(): { token: string; csr: string } {
    const n = this.#asked++;
    const csr = (n + Math.floor(n / size)) % size;
    return { token: this.#tokens[n % size] as string, csr: this.#csrs[csr] as string };
  }

  #headers(more: Record<string, string>): Record<string, string> {
    return { "content-type": "application/json", [nodeTokenHeader]: this.#nodeToken, ...more };
  }
}

/** @throws Error where the answer is not the certificates that were asked for */
export function checkAnswer({ certificates }: Asked, status: number, text: string): void {
  const signed = text.split('"certificateChain"').length - 1;
  if (status >= 300 || signed !== certificates) throw new Error(`the CA answers ${status}: ${text.slice(0, 500)}`);
}
