import { asSignetError } from "@signet/shared/errors";
import type { Agenda } from "../agenda.ts";
import type { Deps } from "../deps.ts";
import type { TokenIssuerStore } from "../identity/token-issuers.ts";
import type { CaClient } from "./client.ts";

// An issuer publishes a key well before it signs with it.
const everySeconds = 300;
const againSeconds = 60;

/** Keeps what the CA verifies tokens with at hand, for a time when the CA cannot be asked. Nothing waits for it. */
export class IssuersPoll {
  readonly #client: CaClient;
  readonly #store: TokenIssuerStore;
  readonly #agenda: Agenda;
  readonly #deps: Pick<Deps, "log" | "random">;
  #etag: string | undefined;
  #failed = false;

  constructor(client: CaClient, store: TokenIssuerStore, agenda: Agenda, deps: Pick<Deps, "log" | "random">) {
    this.#client = client;
    this.#store = store;
    this.#agenda = agenda;
    this.#deps = deps;
  }

  start(): void {
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const { log, random } = this.#deps;
    try {
      await this.#client.document({
        ...{ path: "v1/token-issuers", etag: this.#etag, retry: this.#failed },
        take: (answer) => {
          // An older CA does not say; a newer one may come in its place.
          if (answer === "absent" || answer === "unchanged") return;
          this.#store.offer(answer.json);
          this.#etag = answer.etag;
        },
      });
      this.#failed = false;
    } catch (caught) {
      const { code, message } = asSignetError(caught, "ca-answer-invalid");
      this.#failed = true;
      log.debug({ code, reason: message }, "token issuers not learned; will ask again");
    }
    const seconds = this.#failed ? againSeconds : everySeconds;
    this.#agenda.after(seconds * (0.8 + 0.2 * random()), () => void this.#ask());
  }
}
