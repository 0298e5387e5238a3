import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runDoctor } from "@signet/node-agent/doctor/command";
import type { DoctorFlags } from "@signet/node-agent/doctor/flags";
import type { Finding } from "@signet/node-agent/terminal/finding";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { type TestIoOptions, testIo } from "./command-io.ts";

export interface Examined {
  readonly code: number;
  /** `level what was seen`, by the section's title up to its first blank. */
  readonly sections: Readonly<Record<string, readonly string[]>>;
  readonly findings: readonly Finding[];
  readonly text: string;
}

type Given = Partial<Omit<DoctorFlags, "flags">> & { readonly flags?: DoctorFlags["flags"] };

/** Runs the doctor with JSON as its output. */
export async function examine(given: Given, options: TestIoOptions = {}): Promise<Examined> {
  const { io, shown } = testIo(options);
  const code = await runDoctor(
    { configFile: undefined, faults: [], token: undefined, json: true, ...given, flags: given.flags ?? {} },
    io,
  );
  const { sections } = JSON.parse(shown()) as { sections: { title: string; findings: Finding[] }[] };
  return {
    code,
    sections: Object.fromEntries(
      sections.map(({ findings, title }) => [
        title.split(" ")[0] ?? "",
        findings.map(({ level, seen }) => `${level} ${seen}`),
      ]),
    ),
    findings: sections.flatMap(({ findings }) => findings),
    text: shown(),
  };
}

/** Looks at a machine where nobody stands in for the CA, and nothing runs unless `flags` say where. */
export function lookAround(
  here: Surroundings,
  flags: Readonly<Record<string, string>>,
  { now, token }: { readonly now?: () => number; readonly token?: string } = {},
): Promise<Examined> {
  const usual = { ...nobody, socket: here.at("s") };
  return examine({ flags: { ...usual, ...flags }, token }, now === undefined ? {} : { now });
}

export const nobody = { caUrl: "http://127.0.0.1:1", trustDomain: "cluster.local", admin: "off" };

/** What the doctor says to do about a fault. */
export function mendOf({ findings }: Examined, seen: string): string {
  const found = findings.find((one) => one.seen.startsWith(seen)) ?? findings.find((one) => one.seen.includes(seen));
  return found?.mend?.join("\n") ?? "";
}

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StoodUp {
  /** Answers by path, over those of a CA that is well. */
  readonly answers: Record<string, Answer | "hang" | "cut">;
  readonly url: string;
  /** Paths that were asked for, in turn. */
  readonly asked: readonly string[];
  /** What came with the batch. */
  readonly batches: { readonly token: string | undefined; readonly body: string }[];
  stop(): Promise<void>;
}

/** A folder to break things in, and something that answers as a CA does. */
export class Surroundings {
  readonly folder = mkdtempSync(join(tmpdir(), "signet-doctor-"));
  readonly #stops: (() => Promise<void> | void)[] = [];

  at(name: string): string {
    return join(this.folder, name);
  }

  /** @param tls key and certificate where it is to speak https */
  async ca(tls?: { readonly key: string; readonly cert: string }): Promise<StoodUp> {
    const source = await ScriptedCa.start();
    const roots = source.rootPems;
    await source.stop();
    const answers: StoodUp["answers"] = {};
    const asked: string[] = [];
    const batches: { token: string | undefined; body: string }[] = [];
    const usual: Record<string, Answer> = {
      "/healthz": { body: { status: "ok" } },
      "/readyz": { body: { status: "ready" } },
      "/v1/trust-bundle": { body: { trustDomain: "cluster.local", sequence: 3, refreshHintSeconds: 60, roots } },
    };
    const server: Server = tls === undefined ? createServer() : createHttpsServer(tls);
    server.on("request", async (request, response) => {
      const url = request.url ?? "";
      asked.push(url);
      const [path = ""] = url.split("?");
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      if (path === "/v1/certificates/batch") {
        const { "signet-node-token": sent } = request.headers;
        const token = typeof sent === "string" ? sent : undefined;
        batches.push({ token, body });
        usual[path] = token === undefined ? problem(401, "token-missing") : problem(400, "malformed-request");
      }
      const answer = answers[path] ?? usual[path] ?? { status: 404 };
      if (answer === "hang") return;
      if (answer === "cut") {
        response.destroy();
        return;
      }
      response.writeHead(answer.status ?? 200, answer.headers ?? {});
      response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const stop = async () => {
      if (!server.listening) return;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    };
    this.onEnd(stop);
    const { port } = server.address() as AddressInfo;
    return { answers, asked, batches, url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, stop };
  }

  onEnd(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  async end(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function problem(status: number, code: string): Answer {
  return { status, body: { type: `urn:signet:problem:${code}`, title: code, status } };
}
