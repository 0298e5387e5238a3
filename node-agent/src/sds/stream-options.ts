import type { LogFields } from "@signet/shared/deps";
import type { Deps } from "../deps.ts";
import type { ResourceKind } from "./names.ts";
import type { EncodedSecret } from "./secret.ts";
import type { Validator } from "./validator.ts";

/** A secret that may change, as one stream holds on to it. */
export interface SecretHold {
  current(): EncodedSecret | undefined;
  close(): void;
}

/** What a request for secrets means and where they come from, whichever method it comes by. */
export interface SdsOptions {
  readonly classify: (name: string) => ResourceKind | undefined;
  /** What a request for everything means, name by name. */
  readonly everything: readonly string[];
  /** Form of bundles for an Envoy that does not ask for one. */
  readonly validator: Validator;
  /** May throw SignetError, which ends the stream. */
  readonly open: (kind: ResourceKind, onChange: () => void) => SecretHold;
  readonly deps: Pick<Deps, "log" | "metrics">;
  /** Who asks, for the log. */
  readonly who: LogFields;
}

/** The same with a way back, for a stream of either kind. */
export interface SdsStreamOptions extends SdsOptions {
  /** Sends one message; `done` is called when the next one may go. */
  readonly send: (message: Uint8Array, done: () => void) => void;
}
