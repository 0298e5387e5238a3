import { asSignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Deps } from "../deps.ts";
import { backoffSeconds } from "./backoff.ts";
import type { TrustBundleStore } from "./bundle.ts";
import type { CaClient } from "./client.ts";

// A hint outside of these would hammer the CA or leave a new root unseen for longer than a short leaf lives.
const shortestSeconds = 1;
const longestSeconds = 3_600;

/** Keeps the trust bundle fresh: asks now, then after each refresh hint, a little early and never all agents at once. */
export class BundlePoll {
  readonly #client: CaClient;
  readonly #store: TrustBundleStore;
  readonly #agenda: Agenda;
  readonly #deps: Deps;
  #etag: string | undefined;
  #failures = 0;

  constructor(client: CaClient, store: TrustBundleStore, agenda: Agenda, deps: Deps) {
    this.#client = client;
    this.#store = store;
    this.#agenda = agenda;
    this.#deps = deps;
  }

  start(): void {
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const { log, metrics, now, random } = this.#deps;
    let waitSeconds: number;
    try {
      await this.#client.trustBundle(this.#etag, this.#failures > 0, (answer) => {
        if (answer === undefined) return;
        this.#store.offer(answer.bundle);
        this.#etag = answer.etag;
      });
      metrics.caAnswered(now());
      metrics.bundleConfirmedAt = now();
      if (this.#failures > 0) log.info({ failures: this.#failures }, "the CA gives its trust bundle again");
      this.#failures = 0;
      const hint = this.#store.current?.refreshHintSeconds ?? shortestSeconds;
      waitSeconds = Math.min(longestSeconds, Math.max(shortestSeconds, hint)) * (0.8 + 0.2 * random());
    } catch (caught) {
      const error = asSignetError(caught, "ca-answer-invalid");
      this.#failures++;
      metrics.bundleFailures++;
      waitSeconds = backoffSeconds(this.#failures, random, error.retryAfterSeconds);
      log.warn({ code: error.code, reason: error.message, waitSeconds }, "trust bundle not learned; will ask again");
    }
    this.#agenda.after(waitSeconds, () => void this.#ask());
  }
}
