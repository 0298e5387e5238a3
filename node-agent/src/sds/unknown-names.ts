import { createHash } from "node:crypto";
import { shown } from "./shown.ts";
import type { SdsOptions } from "./stream-options.ts";

const namesShown = 10;

/**
 * Tells of names that stand for nothing here. It keeps a digest of what it told last and no names: their number, their
 * length and how often they change are up to the client.
 */
export class UnknownNames {
  readonly #options: Pick<SdsOptions, "deps" | "who">;
  #told = "";

  constructor(options: Pick<SdsOptions, "deps" | "who">) {
    this.#options = options;
  }

  /** @param names all that the client asks for in vain; the same list is told once, however often it is repeated */
  tell(names: readonly string[]): void {
    const digest = names.length === 0 ? "" : createHash("sha256").update(JSON.stringify(names)).digest("base64");
    const isNews = digest !== this.#told;
    this.#told = digest;
    if (!isNews || names.length === 0) return;
    const { deps, who } = this.#options;
    deps.metrics.unknownNames += names.length;
    deps.log.warn(
      { ...who, names: names.slice(0, namesShown).map(shown), count: names.length },
      "Envoy asks for a name that is not known here",
    );
  }
}
