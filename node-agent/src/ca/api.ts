import {
  batchAnswer,
  type Certificate,
  certificate,
  issuedResult,
  nodeTokenHeader,
  problemTypePrefix,
  refusedResult,
  type TrustBundle,
  trustBundle,
} from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import * as v from "valibot";
import type { Connections } from "./connections.ts";
import { exchange, type HttpAnswer } from "./exchange.ts";
import { readFailure, readProblemOf } from "./problem.ts";

// A certificate with its chain and bundle is under 16 KiB; a bundle of a hundred roots is under 100.
const maxAnswerBytes = 512 * 1024;
const maxBatchAnswerBytes = 16 * 1024 * 1024;

/** Where and how long to ask. */
export interface Ask {
  readonly connections: Connections;
  /** Base URL of the CA. */
  readonly url: URL;
  readonly nodeToken: string | undefined;
  readonly timeoutMilliseconds: number;
}

export interface CertificateAsk {
  readonly token: string;
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
}

/** What a GET came to; `absent` is what a CA says that does not know the path, which is no fault of it. */
export type DocumentAnswer = { readonly json: unknown; readonly etag: string | undefined } | "unchanged" | "absent";

/** What one item of a batch came to. */
export type ItemAnswer = Certificate | SignetError;

/**
 * `POST /v1/certificates`. Answers have passed their schema and nothing else; see `answer.ts`.
 * @throws SignetError `ca-unreachable` and `ca-busy` where waiting helps, `ca-answer-invalid`, or one of
 *   {@link readFailure}'s refusals
 */
export async function askCertificate(ask: Ask, { token, csr, ttlSeconds }: CertificateAsk): Promise<Certificate> {
  const answer = await post(ask, "v1/certificates", { csr, ttlSeconds }, maxAnswerBytes, {
    authorization: `Bearer ${token}`,
  });
  if (answer.status !== 201) throw readFailure(answer);
  return fit(certificate, parseJson(answer));
}

/**
 * `POST /v1/certificates/batch`.
 * @returns as many as there were items, in their order; undefined when whoever answers takes no batch, or not this one,
 *   and the items must be asked for one by one
 * @throws SignetError as {@link askCertificate}, for all of the items
 */
export async function askBatch(ask: Ask, items: readonly CertificateAsk[]): Promise<readonly ItemAnswer[] | undefined> {
  const requests = items.map(({ token, csr, ttlSeconds }) => ({ token, csr, ttlSeconds }));
  const answer = await post(ask, "v1/certificates/batch", { requests }, maxBatchAnswerBytes);
  if (answer.status !== 200) {
    if (refusesBatches(answer)) return undefined;
    throw readFailure(answer);
  }
  const { results } = fit(batchAnswer, parseJson(answer));
  if (results.length !== items.length) throw invalid(`it has ${results.length} results for ${items.length} requests`);
  return results.map(readItem);
}

/**
 * GETs a document.
 * @param path below the CA's URL, such as `v1/trust-bundle`
 * @param etag of what is at hand
 * @throws SignetError as {@link askCertificate}
 */
export async function askDocument(ask: Ask, path: string, etag: string | undefined): Promise<DocumentAnswer> {
  const answer = await exchange(
    ask.connections,
    {
      method: "GET",
      url: urlOf(ask.url, path),
      headers: { accept: "application/json", ...(etag === undefined ? {} : { "if-none-match": etag }) },
    },
    { timeoutMilliseconds: ask.timeoutMilliseconds, maxBytes: maxAnswerBytes },
  );
  if (answer.status === 304 && etag !== undefined) return "unchanged";
  if (answer.status === 404 && readProblemOf(answer)?.type === `${problemTypePrefix}not-found`) return "absent";
  if (answer.status !== 200) throw readFailure(answer);
  return { json: parseJson(answer), etag: answer.header("etag") };
}

/** @throws SignetError `ca-answer-invalid` when it is none */
export function readTrustBundle(json: unknown): TrustBundle {
  return fit(trustBundle, json);
}

function post(
  { connections, url, nodeToken, timeoutMilliseconds }: Ask,
  path: string,
  body: object,
  maxBytes: number,
  headers: Record<string, string> = {},
): Promise<HttpAnswer> {
  return exchange(
    connections,
    {
      method: "POST",
      url: urlOf(url, path),
      headers: {
        ...headers,
        ...(nodeToken === undefined ? {} : { [nodeTokenHeader]: nodeToken }),
        accept: "application/json",
        "content-type": "application/json",
      },
      body: JSON.stringify(body),
    },
    { timeoutMilliseconds, maxBytes },
  );
}

function urlOf(base: URL, path: string): URL {
  return new URL(`${base.pathname.replace(/\/$/, "")}/${path}`, base);
}

/**
 * 404 and 405 is what an older CA says. Another refusal that is not about the agent's own token may be about the body,
 * from whatever stands before the CA: then no pod may spoil what others ask for.
 */
function refusesBatches(answer: HttpAnswer): boolean {
  const { status } = answer;
  if (status < 400 || status >= 500 || status === 408 || status === 429) return false;
  return !((status === 401 || status === 403) && readProblemOf(answer)?.type.startsWith(problemTypePrefix));
}

function readItem(result: unknown): ItemAnswer {
  const issued = v.safeParse(issuedResult, result);
  if (issued.success) return issued.output.certificate;
  const refused = v.safeParse(refusedResult, result);
  if (!refused.success) return invalid("a result of the batch is neither a certificate nor a problem");
  const { status, problem, retryAfterSeconds } = refused.output;
  return readFailure({ status, problem, retryAfterSeconds });
}

function parseJson(answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch {
    // The text stays out of the message: it may be a certificate cut short.
    throw new SignetError("ca-answer-invalid", "the CA's answer is not JSON");
  }
}

function fit<const Schema extends v.GenericSchema>(schema: Schema, json: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw invalid(`it does not fit: ${v.getDotPath(issue) ?? "the document"} is not ${issue.expected}`);
}

function invalid(reason: string): SignetError {
  return new SignetError("ca-answer-invalid", `the CA's answer is not used: ${reason}`);
}
