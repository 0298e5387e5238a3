import type { Clock, Fetch } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { failureCode } from "../failure-code.ts";
import { heldText } from "../held-text.ts";
import type { TextSource } from "../text-source.ts";
import type { AuditEvent } from "./event.ts";
import type { AuditSink } from "./sink.ts";

export interface HttpsSinkOptions {
  readonly url: string;
  /** Holds the whole value of the `authorization` header, such as `Bearer …`. */
  readonly authorization: TextSource | undefined;
  readonly timeoutSeconds: number;
  readonly fetch: Fetch;
  readonly clock: Clock;
}

// About half a MiB.
const maxEvents = 500;
// The receiver would say the same to the same events again.
const refusals: readonly number[] = [400, 413, 415, 422];

/**
 * Posts events as lines of JSON (`application/x-ndjson`). Any 2xx says that they are kept; a redirect is a failure, since
 * it would let the receiver choose who else gets them.
 */
export function httpsSink({ url, authorization, timeoutSeconds, fetch, clock }: HttpsSinkOptions): AuditSink {
  // A query may hold what is not meant for logs.
  const { origin, pathname } = new URL(url);
  const name = `${origin}${pathname}`;
  const held = authorization && heldText(authorization, clock, requireHeaderValue);
  return {
    name,
    maxEvents,
    async send(events: readonly AuditEvent[]) {
      const headers = new Headers({ "content-type": "application/x-ndjson" });
      if (held !== undefined) headers.set("authorization", await held.read().catch(passing));
      const response = await fetch(url, {
        method: "POST",
        headers,
        body: events.map((event) => `${JSON.stringify(event)}\n`).join(""),
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutSeconds * 1000),
      }).catch((cause: unknown) => {
        throw failure(`${name}: ${nameOf(cause)}`, cause);
      });
      await response.body?.cancel();
      if (response.ok) return;
      const { status } = response;
      if (status === 401 || status === 403) held?.drop();
      if (refusals.includes(status)) throw new SignetError("internal", `${name} refuses the events: ${status}`);
      throw failure(`${name} answers ${status}`);
    },
  };
}

/** Never quoted in a message: it is a secret. */
function requireHeaderValue(text: string): void {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)) return;
  throw failure("what is kept as authorization is no value for a header: it must be one line of printable ASCII");
}

/** A place that cannot be read now may be read later: the events wait for it. */
function passing(error: unknown): never {
  throw failure(asSignetError(error, "source-unavailable").message, error);
}

function failure(message: string, cause?: unknown): SignetError {
  return new SignetError("internal", message, { cause, retryAfterSeconds: 5 });
}

/** What a failed fetch says of itself; a message could quote a header. */
function nameOf(error: unknown): string {
  return failureCode(error) ?? (error instanceof Error ? error.name : "no answer");
}
