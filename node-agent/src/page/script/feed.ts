import type { StatusView } from "../../status-view.ts";
import type { WorkloadView } from "../../workload-view.ts";

const everyMilliseconds = 2_000;
const longestWaitMilliseconds = 5_000;

export interface FeedListener {
  onStatus(status: StatusView): void;
  /** Only when something about them is new. */
  onWorkloads(workloads: readonly WorkloadView[]): void;
  /** The agent does not answer, for `since` (milliseconds since the epoch) now. */
  onGone(since: number): void;
}

/**
 * Asks the agent again and again how it is, as long as somebody can see the page. A tag lets the agent say that nothing
 * about its workloads is new, so that a page that is open costs it next to nothing.
 */
export class Feed {
  readonly #listener: FeedListener;
  #tag: string | undefined;
  #goneSince: number | undefined;
  #asking = false;
  #timer: number | undefined;

  constructor(listener: FeedListener) {
    this.#listener = listener;
  }

  start(): void {
    document.addEventListener("visibilitychange", () => void this.#ask());
    void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#asking || document.hidden) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    const wait = await this.#tell();
    this.#asking = false;
    this.#timer = setTimeout(() => void this.#ask(), wait);
  }

  /** @returns milliseconds until the next time */
  async #tell(): Promise<number> {
    try {
      await this.#read();
      this.#goneSince = undefined;
      return everyMilliseconds;
    } catch (error) {
      if (!(error instanceof AgentGone)) reportError(error);
      this.#goneSince ??= Date.now();
      this.#listener.onGone(this.#goneSince);
      return Math.min(longestWaitMilliseconds, everyMilliseconds + (Date.now() - this.#goneSince) / 10);
    }
  }

  async #read(): Promise<void> {
    const [status, workloads] = await Promise.all([
      get("/v1/status"),
      get("/v1/workloads", this.#tag === undefined ? {} : { "if-none-match": this.#tag }),
    ]);
    this.#listener.onStatus((await bodyOf(status)) as StatusView);
    if (workloads.status === 304) return;
    this.#listener.onWorkloads((await bodyOf(workloads)) as readonly WorkloadView[]);
    this.#tag = workloads.headers.get("etag") ?? undefined;
  }
}

/** Not an error of the page. */
class AgentGone extends Error {}

async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  const gone = () => {
    throw new AgentGone();
  };
  const response = await fetch(path, { headers, signal: AbortSignal.timeout(longestWaitMilliseconds) }).catch(gone);
  return response.ok || response.status === 304 ? response : gone();
}

async function bodyOf(response: Response): Promise<unknown> {
  return await response.json().catch(() => {
    throw new AgentGone();
  });
}
