import type { Clock, Fetch } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
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
// As often as everything else that is kept outside; a secret that was replaced is also read again when it is refused.
const rereadSeconds = 30;
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
  let held: { readonly value: string; readonly readAt: number } | undefined;

  async function authorize(source: TextSource): Promise<string> {
    if (held === undefined || clock() - held.readAt > rereadSeconds) {
      held = { value: headerValue(await source.read()), readAt: clock() };
    }
    return held.value;
  }

  return {
    name,
    maxEvents,
    async send(events: readonly AuditEvent[]) {
      const headers = new Headers({ "content-type": "application/x-ndjson" });
      if (authorization !== undefined) headers.set("authorization", await authorize(authorization));
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
      if (status === 401 || status === 403) held = undefined;
      if (refusals.includes(status)) throw new SignetError("internal", `${name} refuses the events: ${status}`);
      throw failure(`${name} answers ${status}`);
    },
  };
}

/** Never quoted in a message: it is a secret. */
function headerValue(text: string): string {
  const value = text.trim();
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return value;
  throw failure("what is kept as authorization is no value for a header: it must be one line of printable ASCII");
}

function failure(message: string, cause?: unknown): SignetError {
  return new SignetError("internal", message, { cause, retryAfterSeconds: 5 });
}

/** What a failed fetch says of itself; a message could quote a header. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.name;
}
