import { type Certificate, certificate, nodeTokenHeader, type TrustBundle, trustBundle } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import Pool from "undici/lib/dispatcher/pool.js";
import * as v from "valibot";
import type { NodeToken } from "../identity/node-token.ts";
import { exchange, type HttpAnswer } from "./exchange.ts";
import { readFailure } from "./problem.ts";
import { Turns } from "./turns.ts";

const connectTimeoutMilliseconds = 3_000;
const answerTimeoutMilliseconds = 10_000;
// Measured against a CA on the same machine: more at once only lengthens the CA's queue.
const maxConnections = 32;

export interface CaClientOptions {
  readonly url: URL;
  /** PEM of the CAs that may vouch for the server, as it is now; undefined: Node's own list. */
  readonly pinnedCa: { current(): string } | undefined;
  readonly nodeToken: NodeToken;
  readonly answerTimeoutMilliseconds?: number;
}

export interface IssueRequest {
  readonly token: string;
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
  /** Goes before those who wait for a first certificate: a renewal keeps traffic alive that flows already. */
  readonly urgent: boolean;
}

export interface BundleAnswer {
  readonly bundle: TrustBundle;
  readonly etag: string | undefined;
}

/** The CA over HTTP. Answers have passed their schema and nothing else; see `answer.ts` and `bundle.ts`. */
export class CaClient {
  readonly #options: CaClientOptions;
  #pool: Pool;
  #pinned: string | undefined;
  readonly #path: string;
  readonly #nodeToken: NodeToken;
  readonly #timeout: number;
  readonly #turns = new Turns(maxConnections);

  constructor(options: CaClientOptions) {
    const { url, pinnedCa, nodeToken, answerTimeoutMilliseconds: timeout } = options;
    this.#options = options;
    this.#nodeToken = nodeToken;
    this.#timeout = timeout ?? answerTimeoutMilliseconds;
    this.#path = url.pathname.replace(/\/$/, "");
    this.#pinned = pinnedCa?.current();
    this.#pool = createPool(url, this.#pinned);
  }

  /**
   * Asks for a certificate.
   * @throws SignetError `ca-unreachable` and `ca-busy` where waiting helps, `ca-answer-invalid`, or one of
   *   {@link readFailure}'s refusals
   */
  async issue({ token, csr, ttlSeconds, urgent }: IssueRequest): Promise<Certificate> {
    await this.#turns.take(urgent);
    try {
      const nodeToken = this.#nodeToken.current();
      const answer = await exchange(
        this.#connections(),
        {
          method: "POST",
          path: `${this.#path}/v1/certificates`,
          headers: {
            authorization: `Bearer ${token}`,
            ...(nodeToken === undefined ? {} : { [nodeTokenHeader]: nodeToken }),
            accept: "application/json",
            "content-type": "application/json",
          },
          body: JSON.stringify(ttlSeconds === undefined ? { csr } : { csr, ttlSeconds }),
        },
        this.#timeout,
      );
      if (answer.status !== 201) throw readFailure(answer);
      return parse(certificate, answer);
    } finally {
      this.#turns.give();
    }
  }

  /**
   * Asks for the trust bundle.
   * @param etag of the bundle at hand
   * @returns undefined when it has not changed
   * @throws SignetError as {@link issue}
   */
  async trustBundle(etag: string | undefined): Promise<BundleAnswer | undefined> {
    const answer = await exchange(
      this.#connections(),
      {
        method: "GET",
        path: `${this.#path}/v1/trust-bundle`,
        headers: { accept: "application/json", ...(etag === undefined ? {} : { "if-none-match": etag }) },
      },
      this.#timeout,
    );
    if (answer.status === 304 && etag !== undefined) return undefined;
    if (answer.status !== 200) throw readFailure(answer);
    return { bundle: parse(trustBundle, answer), etag: answer.header("etag") };
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  // Roots change while the agent runs: a new connection is then verified with the new ones.
  #connections(): Pool {
    const { pinnedCa, url } = this.#options;
    const pinned = pinnedCa?.current();
    if (pinned !== this.#pinned) {
      this.#pinned = pinned;
      // What is under way ends on the connections from before.
      void this.#pool.close();
      this.#pool = createPool(url, pinned);
    }
    return this.#pool;
  }
}

function createPool(url: URL, pinnedCa: string | undefined): Pool {
  return new Pool(url.origin, {
    // One more than the turns: the bundle is asked for beside them.
    connections: maxConnections + 1,
    pipelining: 1,
    connect: {
      timeout: connectTimeoutMilliseconds,
      minVersion: "TLSv1.2",
      ...(pinnedCa === undefined ? {} : { ca: pinnedCa }),
    },
  });
}

function parse<const Schema extends v.GenericSchema>(schema: Schema, answer: HttpAnswer): v.InferOutput<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(answer.body);
  } catch {
    // The text stays out of the message: it may be a certificate cut short.
    throw new SignetError("ca-answer-invalid", "the CA's answer is not JSON");
  }
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue) ?? "the document";
  throw new SignetError("ca-answer-invalid", `the CA's answer does not fit: ${where} is not ${issue.expected}`);
}
