import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { Readable } from "node:stream";
import type { FetchTrusting } from "../../authenticate/review-call.ts";

// A review each now and then, or a burst of them when many pods start.
const maxSockets = 64;
// API servers close idle connections after some minutes, load balancers in front of them earlier.
const idleTimeoutMs = 20_000;

// Responses with these have no body (Fetch §2.2.3).
const bodiless = [204, 205, 304];

/** {@link FetchTrusting} over node:https: Node's own fetch takes no certificate authorities. Redirects are not followed. */
export function createFetchTrusting(): FetchTrusting {
  let kept: { readonly rootsPem: string; readonly agent: Agent } | undefined;
  const keptAgent = (rootsPem: string): Agent => {
    if (kept?.rootsPem === rootsPem) return kept.agent;
    kept?.agent.destroy();
    kept = { rootsPem, agent: makeAgent(rootsPem, true) };
    return kept.agent;
  };
  return async (rootsPem, url, init = {}) => {
    const answer = await ask(url, init, keptAgent(rootsPem)).catch((error: unknown) => {
      // A kept connection that the server has closed meanwhile says nothing about the server.
      if (error instanceof StaleConnection) return ask(url, init, makeAgent(rootsPem, false));
      throw error;
    });
    const { statusCode = 0, headers } = answer;
    const pairs = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    if (bodiless.includes(statusCode)) answer.resume();
    const body = bodiless.includes(statusCode) ? null : (Readable.toWeb(answer) as ReadableStream);
    return new Response(body, { status: statusCode, headers: pairs });
  };
}

function makeAgent(rootsPem: string, keepAlive: boolean): Agent {
  return new Agent({
    // In an array it takes the place of every other root also where it is empty.
    ...{ ca: [rootsPem], keepAlive, maxSockets, timeout: idleTimeoutMs },
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
  });
}

class StaleConnection extends Error {}

function ask(
  url: string,
  { method = "GET", headers, body, signal }: RequestInit,
  agent: Agent,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { agent, method, headers: Object.fromEntries(new Headers(headers)), ...(signal && { signal }) };
    const sent = request(url, options, resolve);
    sent.once("error", (cause) => {
      const stale = sent.reusedSocket && signal?.aborted !== true;
      reject(stale ? new StaleConnection("the connection was closed", { cause }) : cause);
    });
    sent.end(typeof body === "string" ? body : undefined);
  });
}
