import type { Clock, Fetch } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { parseStrictJson } from "@signet/shared/strict-json";
import { readBoundedText } from "../bounded-text.ts";
import { failureCode } from "../failure-code.ts";
import { heldText } from "../held-text.ts";
import type { TextSource } from "../text-source.ts";

/** {@link Fetch} that trusts the certificate authorities in a PEM text and no others. */
export type FetchTrusting = (rootsPem: string, ...request: Parameters<Fetch>) => Promise<Response>;

export interface ReviewCallOptions {
  /** Of the API server, such as `https://10.0.0.1:6443`; from the configuration. */
  readonly url: string;
  /** The token of a service account that may create tokenreviews (ClusterRole `system:auth-delegator`). */
  readonly token: TextSource;
  /** How the API server is reached. */
  readonly connect:
    | { readonly fetch: Fetch }
    | { readonly fetchTrusting: FetchTrusting; readonly caCertificate: TextSource };
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

// An API server answers a review within milliseconds.
const defaultTimeoutMs = 3_000;
// The groups and extras of an account.
const maxAnswerBytes = 256 * 1024;
const retrySeconds = 2;
const maxRetrySeconds = 30;

/**
 * A caller of the TokenReview API (authentication.k8s.io/v1) that gives `status` of the answer. No error of it quotes
 * what was sent or answered.
 */
export function reviewCall({ url, token, connect, clock, timeoutMs = defaultTimeoutMs }: ReviewCallOptions) {
  const place = `${url.replace(/\/$/, "")}/apis/authentication.k8s.io/v1/tokenreviews`;
  const reviewer = heldText(token, clock, requireToken);
  const roots = "caCertificate" in connect ? heldText(connect.caCertificate, clock) : undefined;

  async function send(init: RequestInit): Promise<Response> {
    if ("fetch" in connect) return connect.fetch(place, init);
    return connect.fetchTrusting((await roots?.read()) ?? "", place, init);
  }

  /** @throws SignetError `issuer-unavailable` */
  return async (reviewed: string, audiences: readonly string[]): Promise<unknown> => {
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: reviewed, audiences } };
    try {
      const response = await send({
        method: "POST",
        headers: {
          authorization: `Bearer ${await reviewer.read()}`,
          "content-type": "application/json",
          accept: "application/json",
        },
        body: JSON.stringify(body),
        // A redirect would take both tokens elsewhere.
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (response.status !== 200 && response.status !== 201) {
        await response.body?.cancel();
        if (response.status === 401) reviewer.drop();
        throw unavailable(place, describeStatus(response.status), retryAfter(response));
      }
      return statusIn(await readBoundedText(response, maxAnswerBytes));
    } catch (error) {
      if (error instanceof SignetError && error.code === "issuer-unavailable") throw error;
      // What was replaced there may be why nobody answers.
      roots?.drop();
      throw unavailable(place, describeFailure(error), retrySeconds, error);
    }
  };
}

function statusIn(text: string): unknown {
  const { kind, status } = (parseStrictJson(text) ?? {}) as { kind?: unknown; status?: unknown };
  if (kind !== "TokenReview") throw new SignetError("source-unavailable", "the answer is no TokenReview");
  return status;
}

// Checked before it goes into a header, so that no error can be about its characters.
function requireToken(text: string): void {
  if (/^[\w.~+/=-]+$/.test(text)) return;
  throw new SignetError("source-unavailable", "what is kept as the reviewer's token is no token");
}

function describeStatus(status: number): string {
  if (status === 401) return "the API server does not know the reviewer's token (401)";
  if (status === 403) {
    return "RBAC must allow the reviewer to create tokenreviews, as ClusterRole system:auth-delegator does (403)";
  }
  return `the API server answers ${status}`;
}

/** Of a place of ours all; of a failed fetch its name only, as a message could quote a header. */
function describeFailure(error: unknown): string {
  if (error instanceof SignetError || error instanceof RangeError) return error.message;
  if (!(error instanceof Error)) return "no answer";
  // Nobody else ends a request of ours.
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  return failureCode(error) ?? error.name;
}

function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isInteger(seconds) && seconds > 0 ? Math.min(seconds, maxRetrySeconds) : retrySeconds;
}

function unavailable(place: string, reason: string, retryAfterSeconds: number, cause?: unknown): SignetError {
  return new SignetError("issuer-unavailable", `${place}: ${reason}`, { cause, retryAfterSeconds });
}
