import { SignetError } from "@signet/shared/errors";
import type { Dispatcher, Pool } from "undici";

// A certificate with its chain and bundle is under 16 KiB; a bundle of a hundred roots is under 100.
const maxResponseBytes = 512 * 1024;

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case name to first value. */
  readonly header: (name: string) => string | undefined;
  readonly body: string;
}

/**
 * One request and its whole answer; redirects are answers like others.
 * @throws SignetError `ca-unreachable` when there is no whole answer in time, `ca-answer-invalid` when it is too large
 */
export function exchange(pool: Pool, request: HttpRequest, timeoutMilliseconds: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let status = 0;
    let headers: Record<string, string | string[] | undefined> = {};
    const chunks: Buffer[] = [];
    let bytes = 0;
    let done = false;

    const settle = () => {
      done = true;
      clearTimeout(timer);
    };
    const fail = (error: SignetError) => {
      if (done) return;
      settle();
      reject(error);
      controller?.abort(error);
    };
    const timer = setTimeout(
      () => fail(new SignetError("ca-unreachable", `the CA did not answer within ${timeoutMilliseconds / 1_000} s`)),
      timeoutMilliseconds,
    );

    pool.dispatch(
      { ...request, body: request.body ?? null },
      {
        onRequestStart: (started) => {
          controller = started;
          if (done) started.abort(new Error("given up"));
        },
        onResponseStart: (_controller, code, received) => {
          status = code;
          headers = received;
        },
        onResponseData: (_controller, chunk) => {
          bytes += chunk.length;
          if (bytes > maxResponseBytes) {
            fail(new SignetError("ca-answer-invalid", `the CA's answer is over ${maxResponseBytes} bytes`));
          } else chunks.push(chunk);
        },
        onResponseEnd: () => {
          if (done) return;
          settle();
          resolve({
            status,
            header: (name) => {
              const value = headers[name];
              return Array.isArray(value) ? value[0] : value;
            },
            body: Buffer.concat(chunks).toString("utf8"),
          });
        },
        onResponseError: (_controller, cause) => {
          fail(new SignetError("ca-unreachable", `the CA cannot be reached: ${reasonOf(cause)}`, { cause }));
        },
      },
    );
  });
}

// Node gives several failed addresses as one error without a message.
function reasonOf(error: Error): string {
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}
