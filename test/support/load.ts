import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";

/** Where the requests go, and between whom they are said to be. */
interface Way {
  readonly url: string;
  readonly from: { readonly name: string };
  readonly to: { readonly name: string };
}

export interface LoadReport {
  readonly requests: number;
  readonly failures: number;
  /** The first few, each with its time. */
  readonly examples: readonly string[];
}

/** One request, with the times (milliseconds since the epoch) at which it was sent and over. */
export interface LoadRequest {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  readonly over: number;
  /** Undefined where it was answered with 200. */
  readonly fault: string | undefined;
}

export interface LoadOptions {
  readonly pauseMs?: number;
  readonly onRequest?: (request: LoadRequest) => void;
}

/** Requests in all pairs at once, without a pause longer than a few milliseconds, until it is stopped. */
export class Load {
  #requests = 0;
  #failures = 0;
  #stopped = false;
  readonly #examples: string[] = [];
  readonly #agent = new Agent({ connections: 2 });
  readonly #loops: Promise<void>[];

  constructor(pairs: readonly Way[], { pauseMs = 5, onRequest = () => undefined }: LoadOptions = {}) {
    this.#loops = pairs.map((pair) => this.#loop(pair, pauseMs, onRequest));
  }

  report(): LoadReport {
    return { requests: this.#requests, failures: this.#failures, examples: [...this.#examples] };
  }

  async stop(): Promise<LoadReport> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    if (!this.#agent.closed) await this.#agent.close();
    return this.report();
  }

  async #loop(pair: Way, pauseMs: number, onRequest: (request: LoadRequest) => void): Promise<void> {
    while (!this.#stopped) {
      const sent = Date.now();
      const fault = await this.#once(pair.url);
      this.#requests++;
      onRequest({ from: pair.from.name, to: pair.to.name, sent, over: Date.now(), fault });
      if (fault !== undefined) {
        this.#failures++;
        if (this.#examples.length < 5) {
          this.#examples.push(`${new Date().toISOString()} ${pair.from.name} to ${pair.to.name}: ${fault}`);
        }
      }
      await sleep(pauseMs);
    }
  }

  async #once(url: string): Promise<string | undefined> {
    try {
      const { statusCode, body } = await request(`${url}/ip`, {
        dispatcher: this.#agent,
        headersTimeout: 5_000,
        bodyTimeout: 5_000,
      });
      const text = await body.text();
      return statusCode === 200 ? undefined : `${statusCode} ${text.slice(0, 200)}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

/** One request of a pair: the status, and whom httpbin's Envoy took the caller for. */
export async function call(
  pair: Pick<Way, "url">,
): Promise<{ readonly status: number; readonly caller: string | undefined }> {
  const { statusCode } = await get(`${pair.url}/ip`);
  const seen = await get(`${pair.url}/headers`);
  if (seen.statusCode !== 200) return { status: statusCode, caller: undefined };
  const { headers } = JSON.parse(seen.text) as { headers: Record<string, string> };
  return { status: statusCode, caller: /URI=([^;,]+)/.exec(headers["x-forwarded-client-cert"] ?? "")?.[1] };
}

// A connection for each request: none is left over from an Envoy that has been restarted since.
async function get(url: string): Promise<{ statusCode: number; text: string }> {
  const { statusCode, body } = await request(url, { reset: true, headersTimeout: 10_000 });
  return { statusCode, text: await body.text() };
}
