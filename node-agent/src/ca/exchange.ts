import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Connections } from "./connections.ts";

const connectMilliseconds = 3_000;

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

export interface HttpLimits {
  /** From the start to the last byte of the answer. */
  readonly timeoutMilliseconds: number;
  readonly maxBytes: number;
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
export async function exchange(
  connections: Connections,
  request: HttpRequest,
  limits: HttpLimits,
): Promise<HttpAnswer> {
  const end = performance.now() + limits.timeoutMilliseconds;
  try {
    return await once(connections, request, limits);
  } catch (error) {
    // The server closed a connection that was kept open, just as it was used again: nobody has looked at the request. The
    // others that were kept open are most likely gone with it.
    if (!(error instanceof StaleConnection)) throw error;
    connections.distrust();
  }
  try {
    return await once(connections, request, { ...limits, timeoutMilliseconds: Math.max(1, end - performance.now()) });
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    throw new SignetError("ca-unreachable", `the CA cannot be reached${connections.way}: ${error.message}`);
  }
}

class StaleConnection extends Error {
  override readonly message = "it closed the connection";
}
const staleCodes: readonly unknown[] = ["ECONNRESET", "EPIPE"];

function once(connections: Connections, request: HttpRequest, limits: HttpLimits): Promise<HttpAnswer> {
  const { method, url, headers, body } = request;
  const { timeoutMilliseconds, maxBytes } = limits;
  return new Promise((resolve, reject) => {
    const { agent, way } = connections;
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    let answer: IncomingMessage | undefined;
    let outgoing: ClientRequest;
    const fail = (error: Error) => {
      clearTimeout(timer);
      clearTimeout(connecting);
      reject(error);
      outgoing?.destroy();
    };
    const unreachable = (reason: string, cause?: Error) =>
      fail(new SignetError("ca-unreachable", `the CA cannot be reached${way}: ${reason}`, cause && { cause }));
    const timer = setTimeout(() => {
      const seconds = Math.round(timeoutMilliseconds) / 1_000;
      fail(new SignetError("ca-unreachable", `the CA did not answer within ${seconds} s${way}`));
      connections.distrust();
    }, timeoutMilliseconds);
    const connecting = setTimeout(
      () => unreachable(`no connection within ${connectMilliseconds / 1_000} s`),
      connectMilliseconds,
    );
    try {
      outgoing = send(url, { method, agent, headers: body === undefined ? headers : { ...headers, ...sized(body) } });
    } catch (error) {
      // A header that may not be sent; Node's message does not quote it.
      fail(asSignetError(error, "ca-refused", "the request cannot be sent"));
      return;
    }
    outgoing.on("socket", (socket) => {
      const connected = () => clearTimeout(connecting);
      if (outgoing.reusedSocket) connected();
      else socket.once(url.protocol === "https:" ? "secureConnect" : "connect", connected);
    });
    outgoing.on("error", (error) => {
      if (outgoing.reusedSocket && answer === undefined && "code" in error && staleCodes.includes(error.code)) {
        fail(new StaleConnection());
      } else unreachable(reasonOf(error), error);
    });
    outgoing.on("response", (response) => {
      answer = response;
      clearTimeout(connecting);
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxBytes) fail(new SignetError("ca-answer-invalid", `the CA's answer is over ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", (error) => unreachable(reasonOf(error), error));
      response.on("end", () => {
        clearTimeout(timer);
        resolve({
          status: response.statusCode ?? 0,
          header: (name) => {
            const value = response.headers[name];
            return Array.isArray(value) ? value[0] : value;
          },
          body: Buffer.concat(chunks).toString("utf8"),
        });
      });
    });
    outgoing.end(body);
  });
}

function sized(body: string): Record<string, string> {
  return { "content-length": String(Buffer.byteLength(body)) };
}

// Node gives several failed addresses as one error without a message.
function reasonOf(error: Error): string {
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}
