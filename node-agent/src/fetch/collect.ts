import type { CallEnd } from "../grpc/status.ts";
import { ask, type Question, type Update } from "./ask.ts";
import type { GrpcConnection } from "./connection.ts";
import type { SeenSecret } from "./secrets.ts";

/** What has come so far, by name. */
export interface Harvest {
  readonly secrets: ReadonlyMap<string, SeenSecret>;
  readonly unknown: ReadonlySet<string>;
  /** Names for which nothing has come, not even that they mean nothing. */
  readonly missing: readonly string[];
}

export interface CollectOptions {
  readonly timeoutSeconds: number;
  /** Goes on after everything has come, until the signal. */
  readonly stay: boolean;
  readonly interrupted: AbortSignal;
  readonly onUpdate: (update: Update, harvest: Harvest) => void;
  /** Time is up and something is missing. */
  readonly onLate: (missing: readonly string[]) => void;
}

/**
 * Asks until everything has come, time is up, the agent ends the call, or the person has seen enough.
 * @throws SignetError as {@link ask}
 */
export async function collect(
  connection: GrpcConnection,
  question: Question,
  { interrupted, onLate, onUpdate, stay, timeoutSeconds }: CollectOptions,
): Promise<Harvest & { readonly end: CallEnd | undefined }> {
  const secrets = new Map<string, SeenSecret>();
  const unknown = new Set<string>();
  const harvest = (): Harvest => ({
    secrets,
    unknown,
    missing: question.names.filter((name) => !secrets.has(name) && !unknown.has(name)),
  });
  const enough = new AbortController();
  const stop = () => enough.abort();
  const timer = setTimeout(() => {
    const { missing } = harvest();
    if (missing.length > 0) onLate(missing);
    if (!stay) stop();
  }, timeoutSeconds * 1_000);
  interrupted.addEventListener("abort", stop);
  if (interrupted.aborted) stop();
  try {
    const updates = ask(connection, question, enough.signal);
    for (;;) {
      const next = await updates.next();
      if (next.done === true) return { ...harvest(), end: next.value };
      for (const secret of next.value.secrets) {
        secrets.set(secret.name, secret);
        unknown.delete(secret.name);
      }
      for (const name of next.value.unknown) unknown.add(name);
      onUpdate(next.value, harvest());
      if (!stay && harvest().missing.length === 0) stop();
    }
  } finally {
    clearTimeout(timer);
    interrupted.removeEventListener("abort", stop);
  }
}
