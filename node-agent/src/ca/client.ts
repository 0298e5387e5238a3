import type { Certificate, TrustBundle } from "@signet/shared/ca-api";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { Agenda } from "../agenda.ts";
import type { Deps } from "../deps.ts";
import type { NodeToken } from "../identity/node-token.ts";
import { type Ask, askBatch, askCertificate, askDocument, type DocumentAnswer, readTrustBundle } from "./api.ts";
import { Connections, type ConnectionsOptions } from "./connections.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Endpoint } from "./endpoint.ts";
import type { CaEndpointView } from "./endpoint-view.ts";
import type { Job } from "./flight.ts";
import type { Outcome } from "./outcome.ts";
import { RetryBudget } from "./retry-budget.ts";

// What the members of an item take beside token and CSR.
const itemOverhead = 64;
// Measured: a certificate in a batch costs the agent less than half of the CPU that it costs alone, and the CA half. Twice
// as many at once bring nothing more.
const maxBatch = 32;

export interface CaClientOptions {
  /** In the order of preference; all of the same CA. */
  readonly urls: readonly URL[];
  /** Proxies by the URL of the CA that is asked through them. */
  readonly proxies: ReadonlyMap<URL, URL>;
  readonly pinnedCa: ConnectionsOptions["pinnedCa"];
  readonly nodeToken: NodeToken;
  /** Whose bundle is asked for. */
  readonly trustDomain: TrustDomain;
  readonly agenda: Agenda;
  readonly deps: Deps;
  readonly answerMilliseconds?: number;
  readonly maxBatch?: number;
}

export interface IssueRequest<Taken> {
  readonly token: string;
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
  /** When the certificate runs out that is to be renewed; undefined for a first one, which goes after all renewals. */
  readonly expiresAt: number | undefined;
  readonly retry: boolean;
  /** Checks an answer and takes it. @throws SignetError when it must not be used; then another endpoint is asked */
  readonly take: (answer: Certificate) => Taken;
}

type CertificateJob = Job & { readonly request: IssueRequest<unknown> };
type DocumentJob = Job & { readonly request: DocumentRequest };

export interface DocumentRequest {
  /** Below the CA's URL, such as `v1/trust-bundle`. */
  readonly path: string;
  /** Of what is at hand. */
  readonly etag: string | undefined;
  readonly retry: boolean;
  /** Checks an answer and takes it. @throws SignetError when it must not be used; then another endpoint is asked */
  readonly take: (answer: DocumentAnswer) => void;
}

export interface BundleAnswer {
  readonly bundle: TrustBundle;
  readonly etag: string | undefined;
}

/** The CA over HTTP, at whichever of its URLs answers. */
export class CaClient {
  readonly #options: CaClientOptions;
  readonly #ways: ReadonlyMap<Endpoint, { readonly url: URL; readonly connections: Connections }>;
  readonly #dispatcher: Dispatcher<CertificateJob | DocumentJob, unknown>;

  private constructor(options: CaClientOptions, connections: readonly Connections[]) {
    const { urls, agenda, deps, answerMilliseconds } = options;
    this.#options = options;
    this.#ways = new Map(
      urls.flatMap((url, at) => {
        const way = connections[at];
        const limits = { url: url.href, maxBatch: options.maxBatch ?? maxBatch };
        return way === undefined ? [] : [[new Endpoint(limits, deps), { url, connections: way }] as const];
      }),
    );
    this.#dispatcher = new Dispatcher({
      endpoints: [...this.#ways.keys()],
      send: (endpoint, jobs, timeout) => this.#send(endpoint, jobs, timeout),
      probe: (endpoint) => this.#probe(endpoint),
      budget: new RetryBudget(deps.monotonic),
      ...{ agenda, deps },
      ...(answerMilliseconds === undefined ? {} : { answerMilliseconds }),
    });
  }

  static async open(options: CaClientOptions): Promise<CaClient> {
    const { pinnedCa, proxies, urls } = options;
    return new CaClient(
      options,
      await Promise.all(urls.map((url) => Connections.to({ url, pinnedCa, proxy: proxies.get(url) }))),
    );
  }

  get endpoints(): readonly CaEndpointView[] {
    return [...this.#ways.keys()].map(({ view }) => view);
  }

  /**
   * Asks for a certificate.
   * @returns what `take` made of the answer
   * @throws SignetError `ca-unreachable`, `ca-busy` and `issuer-unavailable` where waiting helps, what `take` throws, or
   *   one of the refusals of `problem.ts`
   */
  async issue<Taken>(request: IssueRequest<Taken>): Promise<Taken> {
    const { csr, expiresAt, retry, token } = request;
    const taken = await this.#dispatcher.run({
      ...{ request, expiresAt, retry },
      priority: expiresAt ?? Number.POSITIVE_INFINITY,
      characters: token.length + csr.length + itemOverhead,
    });
    // The dispatcher gives back what this very job's `take` returned.
    return taken as Taken;
  }

  /**
   * Asks for a document, such as the trust bundle.
   * @throws SignetError as {@link issue}
   */
  async document(request: DocumentRequest): Promise<void> {
    const { retry } = request;
    // One small request in minutes, which every workload needs the answer of.
    await this.#dispatcher.run({ ...{ request, retry }, priority: 0, expiresAt: undefined, characters: undefined });
  }

  /**
   * Asks for the trust bundle.
   * @param etag of the bundle at hand
   * @param take gets undefined when it has not changed; what it throws makes another endpoint be asked
   * @throws SignetError as {@link issue}
   */
  trustBundle(
    etag: string | undefined,
    retry: boolean,
    take: (answer: BundleAnswer | undefined) => void,
  ): Promise<void> {
    return this.document({
      ...{ path: this.#bundlePath, etag, retry },
      take: (answer) => {
        if (answer === "absent") {
          const { name } = this.#options.trustDomain;
          const message = `the CA does not serve the trust domain ${name}: hold --trust-domain against the CA's configuration`;
          throw new SignetError("ca-answer-invalid", message);
        }
        take(answer === "unchanged" ? undefined : { bundle: readTrustBundle(answer.json), etag: answer.etag });
      },
    });
  }

  close(): void {
    this.#dispatcher.stop();
    for (const { connections } of this.#ways.values()) connections.close();
  }

  async #send(
    endpoint: Endpoint,
    jobs: readonly (CertificateJob | DocumentJob)[],
    timeoutMilliseconds: number,
  ): Promise<readonly Outcome<unknown>[] | undefined> {
    const ask = this.#askOf(endpoint, timeoutMilliseconds);
    const certificates: IssueRequest<unknown>[] = [];
    for (const { request } of jobs) {
      if ("csr" in request) certificates.push(request);
      // It goes in no batch.
      else
        return [take(await this.#counted(endpoint, () => askDocument(ask, request.path, request.etag)), request.take)];
    }
    const [first] = certificates;
    if (certificates.length === 1 && first !== undefined) {
      return [take(await this.#timed(endpoint, () => askCertificate(ask, first)), first.take)];
    }
    const answers = await this.#timed(endpoint, () => askBatch(ask, certificates));
    return answers?.map((answer, at) =>
      answer instanceof Error ? { error: answer } : take(answer, certificates[at]?.take),
    );
  }

  async #probe(endpoint: Endpoint): Promise<void> {
    const { answerMilliseconds = 10_000 } = this.#options;
    const ask = this.#askOf(endpoint, answerMilliseconds);
    await this.#counted(endpoint, () => askDocument(ask, this.#bundlePath, undefined));
  }

  // A trust domain's name has no character that a query would have to escape. An older CA does not look at it.
  get #bundlePath(): string {
    return `v1/trust-bundle?trustDomain=${this.#options.trustDomain.name}`;
  }

  #askOf(endpoint: Endpoint, timeoutMilliseconds: number): Ask {
    const way = this.#ways.get(endpoint);
    if (way === undefined) throw new TypeError("every endpoint has a way to it");
    return { ...way, nodeToken: this.#options.nodeToken.current(), timeoutMilliseconds };
  }

  async #timed<Answer>(endpoint: Endpoint, ask: () => Promise<Answer>): Promise<Answer> {
    const began = performance.now();
    try {
      return await this.#counted(endpoint, ask);
    } finally {
      this.#options.deps.metrics.caSeconds.observe((performance.now() - began) / 1_000);
    }
  }

  async #counted<Answer>(endpoint: Endpoint, ask: () => Promise<Answer>): Promise<Answer> {
    let result = "ok";
    try {
      return await ask();
    } catch (error) {
      result = asSignetError(error, "ca-answer-invalid").code;
      throw error;
    } finally {
      this.#options.deps.metrics.caAsked(endpoint.url, result);
    }
  }
}

function take<Answer>(answer: Answer, check: ((answer: Answer) => unknown) | undefined): Outcome<unknown> {
  try {
    return { value: check?.(answer) };
  } catch (caught) {
    const error: SignetError = asSignetError(caught, "ca-answer-invalid");
    return { error };
  }
}
