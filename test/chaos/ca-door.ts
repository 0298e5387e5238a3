import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { freePort } from "../support/ports.ts";
import type { WrongAnswer } from "./plan.ts";
import type { AnswerSpoiler } from "./wrong-answers.ts";

/** What the door does with a request, instead of just handing it on. */
export type Mood =
  | "open"
  | "refuses"
  | "hangs"
  | { readonly delaySeconds: number }
  | { readonly status: number; readonly retryAfter: number | undefined }
  | { readonly wrong: () => WrongAnswer | undefined };

interface Answered {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const issuing = "/v1/certificates";
const batch = `${issuing}/batch`;

/** The way to the real CA over HTTP: it can be closed, made slow, or made to tell lies. */
export class CaDoor {
  readonly url: string;
  /** Requests for certificates that came here. */
  requests = 0;
  readonly #port: number;
  readonly #target: () => string;
  readonly #spoiler: AnswerSpoiler;
  readonly #server: Server;
  readonly #agent = new Agent({ connections: 32 });
  #mood: Mood = "open";

  private constructor(port: number, target: () => string, spoiler: AnswerSpoiler) {
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#target = target;
    this.#spoiler = spoiler;
    this.#server = createServer((asked, answer) => {
      // A client that gives up, or a CA that goes, takes this exchange with it and nothing else.
      this.#handle(asked, answer).catch(() => answer.destroy());
    });
  }

  static async open(target: () => string, spoiler: AnswerSpoiler): Promise<CaDoor> {
    const door = new CaDoor(await freePort(), target, spoiler);
    await door.#listen();
    return door;
  }

  async setMood(mood: Mood): Promise<void> {
    this.#mood = mood;
    if (mood === "refuses") await this.#close();
    else if (!this.#server.listening) await this.#listen();
  }

  async stop(): Promise<void> {
    await this.#close();
    await this.#agent.destroy();
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(this.#port, "127.0.0.1", resolve);
    });
  }

  async #close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of asked.setEncoding("utf8")) body += chunk;
    const path = asked.url ?? "/";
    if (path.startsWith(issuing)) this.requests++;
    const mood = this.#mood;
    // Whoever hangs when the CA recovers hangs on: only the client's own patience helps.
    if (mood === "hangs") return;
    if (typeof mood === "object" && "status" in mood) {
      if (mood.retryAfter !== undefined) answer.setHeader("retry-after", String(mood.retryAfter));
      const problem = { type: "urn:signet:problem:cannot-sign", title: "busy", status: mood.status, requestId: "door" };
      answer.writeHead(mood.status, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
      return;
    }
    if (typeof mood === "object" && "delaySeconds" in mood) await sleep(mood.delaySeconds * 1_000);
    const given = await this.#ask(asked, path, body);
    const lie = typeof mood === "object" && "wrong" in mood && given.status < 300 && path.startsWith(issuing);
    const wrong = lie ? mood.wrong() : undefined;
    const text = given.status < 300 ? this.#rewrite(path, body, given, wrong) : given.body;
    answer.writeHead(given.status, given.headers);
    if (wrong !== "cut off") answer.end(text);
    // A body that ends in the middle, with the connection.
    else answer.write(text, () => answer.destroy());
  }

  async #ask(asked: IncomingMessage, path: string, body: string): Promise<Answered> {
    const wanted = ["authorization", "signet-node-token", "content-type", "accept", "if-none-match"];
    const {
      statusCode,
      headers,
      body: answered,
    } = await request(`${this.#target()}${path}`, {
      dispatcher: this.#agent,
      method: asked.method === "POST" ? "POST" : "GET",
      headers: Object.fromEntries(wanted.flatMap((name) => [[name, asked.headers[name]]]).filter(([, value]) => value)),
      ...(body === "" ? {} : { body }),
    });
    const kept = ["content-type", "etag", "cache-control", "retry-after", "date"];
    return {
      status: statusCode,
      headers: Object.fromEntries(kept.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : []))),
      body: await answered.text(),
    };
  }

  /** The body of a good answer, spoiled if the door is in that mood. */
  #rewrite(path: string, asked: string, { body }: Answered, wrong: WrongAnswer | undefined): string {
    if (path === issuing) {
      const certificate = JSON.parse(body);
      if (wrong !== undefined) return this.#spoil(wrong, JSON.parse(asked).csr, certificate);
      this.#spoiler.remember(certificate);
    }
    if (path !== batch) return body;
    const { requests } = JSON.parse(asked) as { requests: { csr: string }[] };
    const { results } = JSON.parse(body) as { results: { status: number; certificate?: { spiffeId: string } }[] };
    const rewritten: unknown[] = [];
    for (const [at, result] of results.entries()) {
      const { certificate } = result;
      const csr = requests[at]?.csr;
      if (certificate === undefined || csr === undefined) rewritten.push(result);
      else if (wrong === undefined) {
        this.#spoiler.remember(certificate as Parameters<AnswerSpoiler["remember"]>[0]);
        rewritten.push(result);
      } else {
        const text = this.#spoil(wrong, csr, certificate as Parameters<AnswerSpoiler["remember"]>[0]);
        if (wrong === "not JSON" || wrong === "cut off") return text;
        rewritten.push({ ...result, certificate: JSON.parse(text) });
      }
    }
    return JSON.stringify({ results: rewritten });
  }

  #spoil(wrong: WrongAnswer, csr: string, certificate: Parameters<AnswerSpoiler["remember"]>[0]): string {
    const spoiled = this.#spoiler.spoil(wrong, csr, certificate);
    return typeof spoiled === "string" ? spoiled : JSON.stringify(spoiled);
  }
}
