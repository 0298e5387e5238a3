import type { ServerResponse } from "node:http";

/** How the CA answers the next requests for a certificate. */
export type Script =
  | "issue"
  | "hang"
  | { readonly status: number; readonly code?: string; readonly retryAfter?: number; readonly body?: string }
  | {
      readonly wrong:
        | "key"
        | "id"
        | "chain"
        | "expired"
        | "future"
        | "long-lived"
        | "not-json"
        | "empty-bundle"
        | "other-domain"
        | "huge";
    };

/** What the CA does to a batch; each of its items goes by the {@link Script}. */
export type BatchScript =
  | "answer"
  | "unsupported"
  | "swap"
  | "drop"
  | "too-many"
  | "duplicate"
  /** `above`: only for batches of more items. */
  | { readonly status: number; readonly code?: string; readonly body?: string; readonly above?: number };

/** Status, what goes with it, and the header that says when to come back. */
export interface Reply {
  readonly status: number;
  readonly document: object;
  /** In place of the document. */
  readonly text?: string | undefined;
  readonly retryAfter?: number | undefined;
}

export function problemOf(status: number, code: string): Reply {
  const document = { type: `urn:signet:problem:${code}`, title: `title of ${code}`, status, requestId: "request-1" };
  return { status, document };
}

export function send(response: ServerResponse, { status, document, text, retryAfter }: Reply): void {
  if (retryAfter !== undefined) response.setHeader("retry-after", String(retryAfter));
  const type = status < 400 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "content-type": type }).end(text ?? JSON.stringify(document));
}

/** The results of a batch as the script has them. */
export function spoil(results: readonly object[], script: BatchScript): readonly object[] {
  const [first = {}, ...rest] = results;
  if (script === "swap") return [...rest, first];
  if (script === "drop") return rest;
  if (script === "too-many") return [...results, first];
  return script === "duplicate" ? results.map(() => first) : results;
}
