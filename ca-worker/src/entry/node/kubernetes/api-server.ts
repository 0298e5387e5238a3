import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { asSignetError, SignetError, type SignetErrorCode } from "@signet/shared/errors";
import { keyDocumentTypes } from "../../../authenticate/fetch-keys.ts";
import type { ClusterAccess } from "./access.ts";

export interface ApiCall {
  readonly method: "GET" | "POST" | "PATCH";
  readonly path: string;
  /** The RBAC rule that allows it, for messages: `get on secrets "x" in namespace "y"`. */
  readonly rule: string;
  readonly body?: object;
  /** Statuses other than 2xx that mean something to the caller. */
  readonly expected?: readonly number[];
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

// The API server answers such requests in milliseconds.
const timeoutMs = 5_000;
// An object of 1 MiB, etcd's limit, in base64.
const maxAnswerBytes = 2 * 1024 * 1024;
const retrySeconds = 1;

/**
 * A client of the API server for single objects. An error that can pass by itself has `retryAfterSeconds`. No error quotes
 * an answer: it could hold a key.
 */
export class ApiServer {
  readonly #access: ClusterAccess;
  readonly #code: SignetErrorCode;

  /** @param code the code of its errors */
  constructor(access: ClusterAccess, code: SignetErrorCode) {
    this.#access = access;
    this.#code = code;
  }

  /** @throws SignetError of this client's code */
  async call({ method, path, rule, body, expected = [] }: ApiCall): Promise<ApiAnswer> {
    const { status, text } = await this.#send(method, path, body);
    const answer = readObject(text);
    if ((status >= 200 && status < 300) || expected.includes(status)) {
      if (answer === undefined) throw this.#error(`${method} ${path}: the answer is no JSON object`);
      return { status, body: answer };
    }
    // The reason is one word of a fixed list; the message could quote what was sent.
    const { reason } = answer ?? {};
    const said = typeof reason === "string" && /^[A-Za-z]{1,40}$/.test(reason) ? `${status} ${reason}` : `${status}`;
    if (status === 401) {
      throw this.#error(`the API server does not know the service account's token (${said}); it was to ${rule}`);
    }
    if (status === 403) {
      const or = method === "GET" ? "" : ", or a quota or an admission policy stands against it";
      throw this.#error(`the API server refuses (${said}): RBAC must allow the service account to ${rule}${or}`);
    }
    // A 409 that is not about the object is about bookkeeping, such as of a quota, and passes.
    const passes = status >= 500 || status === 429 || status === 409;
    throw this.#error(`${method} ${path}: the API server answers ${said}`, passes);
  }

  async #send(method: string, path: string, body: object | undefined): Promise<{ status: number; text: string }> {
    const { host, port } = this.#access;
    const { token, ca } = await this.#access.credentials(this.#code);
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request(
          {
            // In an array `ca` takes the place of every other root also where it is empty.
            ...{ host, port, method, path, signal, ca: [ca] },
            // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
            rejectUnauthorized: true,
            minVersion: "TLSv1.2",
            // A call now and then: a connection that is kept would be dead as often as not.
            agent: false,
            headers: {
              accept: keyDocumentTypes,
              authorization: `Bearer ${token}`,
              "user-agent": "signet-ca",
              ...(body !== undefined && {
                "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
              }),
            },
          },
          resolve,
        )
          .once("error", reject)
          .end(body === undefined ? undefined : JSON.stringify(body));
      });
      return { status: response.statusCode ?? 0, text: await readText(response) };
    } catch (error) {
      if (error instanceof SignetError) throw error;
      const reason = signal.aborted ? `no answer within ${timeoutMs / 1000} s` : describe(error);
      throw this.#error(`the API server at ${host}:${port} cannot be asked: ${reason}`, true, error);
    }
  }

  #error(message: string, passes = false, cause?: unknown): SignetError {
    return new SignetError(this.#code, message, { cause, ...(passes && { retryAfterSeconds: retrySeconds }) });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxAnswerBytes) throw new RangeError(`an answer of more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

function readObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}

/** The one line of an error for a log. */
export function reasonOf(error: unknown): string {
  return asSignetError(error, "internal").message;
}
