import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { asSignetError, SignetError } from "@signet/shared/errors";
import type { Address } from "../config.ts";

// 10,000 workloads, each with a long error.
const maxBytes = 32 * 1024 * 1024;
const timeoutMilliseconds = 5_000;

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** An address as one writes it for a listening program, as one to connect to. */
export function shownAddress({ host, port }: Address): string {
  const target = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return target.includes(":") ? `[${target}]:${port}` : `${target}:${port}`;
}

/**
 * Asks the admin routes of an agent.
 * @throws SignetError `agent-unreachable` when there is no whole answer
 */
export function askAdmin(address: Address, path: string, signal: AbortSignal): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const at = shownAddress(address);
    let asked: ClientRequest | undefined;
    const fail = (reason: string, cause?: unknown) => {
      reject(new SignetError("agent-unreachable", `no agent answers at ${at}: ${reason}`, { cause }));
      asked?.destroy();
    };
    try {
      // A connection of its own: there is no next request that it could be kept for.
      asked = request(`http://${at}${path}`, { agent: false, signal, timeout: timeoutMilliseconds });
    } catch (error) {
      fail(asSignetError(error, "agent-unreachable").message, error);
      return;
    }
    asked.on("timeout", () => fail(`nothing came within ${timeoutMilliseconds / 1_000} s`));
    asked.on("error", (error: NodeJS.ErrnoException) => fail(reasonOf(error), error));
    asked.on("response", (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxBytes) fail("its answer is too long");
        else chunks.push(chunk);
      });
      response.on("error", (error) => fail(error.message, error));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.end();
  });
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === "ECONNREFUSED") return "nobody listens there; is it running, and is this its --admin address?";
  return code ?? message;
}
