import { nodeTokenHeader } from "@signet/shared/ca-api";
import { agentServiceAccount, type CaConfig, caConfig } from "../support/ca-config.ts";
import { startCaInProcess } from "../support/ca-in-process.ts";
import { startCaInLambda } from "../support/ca-lambda.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { startCaOverTls } from "../support/ca-tls.ts";
import { startCaInWorkerd } from "../support/ca-workerd.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer, type TokenOverrides } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { holdToDocument } from "./hold-to-document.ts";

/** A CA on some platform, asked as its clients ask it. */
export interface ContractCa {
  /** @param path from the slash on */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Where it takes plain HTTP, for what no client library would send; undefined where it takes none. */
  readonly url: string | undefined;
  /** The end of what it has logged. */
  tail(): string;
  stop(): Promise<void>;
}

interface PlatformEntry {
  start(config: CaConfig, folder: string): Promise<ContractCa>;
  /** Whole tables of refusals run here; elsewhere, where the same app runs behind a server, one of each kind. */
  readonly thorough: boolean;
}

/** The platforms that the contract holds on. */
const table = {
  "in-process": { start: (config) => startCaInProcess(config), thorough: true },
  node: { start: async (config, folder) => overHttp(await startCaProcess({ folder, config })), thorough: false },
  "node-tls": { start: (config, folder) => startCaOverTls({ folder, config }), thorough: false },
  workerd: { start: async (config, folder) => overHttp(await startCaInWorkerd({ folder, config })), thorough: true },
  // What no client library would send never gets through AWS' own front.
  lambda: {
    start: async (config, folder) => ({ ...overHttp(await startCaInLambda({ folder, config })), url: undefined }),
    thorough: true,
  },
} as const satisfies Record<string, PlatformEntry>;

export type Platform = keyof typeof table;
export const platforms = Object.keys(table) as Platform[];

/** Where {@link ContractCa.url} is. */
export const plainSockets: readonly Platform[] = ["node", "workerd"];

function overHttp(ca: RunningCa): ContractCa {
  return {
    fetch: (path, init) => fetch(`${ca.url}${path}`, init),
    url: ca.url,
    tail: () => ca.tail(),
    stop: () => ca.stop(),
  };
}

/** A running CA and the cluster that it trusts. */
export interface Bench extends ContractCa {
  readonly issuer: TokenIssuer;
  readonly sleep: ReturnType<typeof makePod>;
  readonly agent: ReturnType<typeof makePod>;
  readonly node: ReturnType<typeof makeNode>;
}

export const sleepId = "spiffe://cluster.local/ns/foo/sa/sleep";

const shared = new Map<Platform, Promise<Bench>>();

/**
 * A CA on a platform. One of the usual configuration serves all files of the suite, which run in one process, until that
 * ends: most of the time would be their starts.
 * @param more laid over the configuration, member by member
 */
export async function startBench(platform: Platform, more?: object): Promise<Bench> {
  if (more !== undefined) return makeBench(platform, more);
  const bench = shared.get(platform) ?? makeBench(platform, {});
  shared.set(platform, bench);
  return { ...(await bench), stop: async () => {} };
}

async function makeBench(platform: Platform, more: object): Promise<Bench> {
  const folder = await makeWorkFolder("contract");
  const issuer = await TokenIssuer.create();
  const ca = await table[platform].start({ ...caConfig({ keys: issuer.jwks, maxTtl: "2h" }), ...more }, folder.path);
  const node = makeNode("node-1");
  return {
    issuer,
    node,
    sleep: makePod("foo", "sleep", node),
    agent: makePod(agentServiceAccount.namespace, agentServiceAccount.name, node),
    fetch: await holdToDocument(ca),
    url: ca.url,
    tail: () => ca.tail(),
    async stop() {
      await ca.stop();
      await folder.remove();
    },
  };
}

/** All of a table of refusals, or the first with each code where that is enough. */
export function refusalsFor<Refusal extends { readonly code: string; readonly bytes?: true }>(
  platform: Platform,
  refusals: readonly Refusal[],
): readonly Refusal[] {
  if (platform === "lambda") return refusals.filter(({ bytes }) => bytes !== true);
  if (table[platform].thorough) return refusals;
  return refusals.filter(({ code }, at) => refusals.findIndex((other) => other.code === code) === at);
}

export interface Ask {
  /** Overrides for the workload's token; a string is the token itself, null leaves it out. */
  readonly token?: TokenOverrides | string | null;
  readonly nodeToken?: TokenOverrides | string | null;
  readonly csr?: string;
  readonly ttlSeconds?: unknown;
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Posts to /v1/certificates; what is not said is right. */
export async function ask(bench: Bench, request: Ask = {}): Promise<Response> {
  const { issuer, sleep, agent } = bench;
  const token =
    typeof request.token === "string" || request.token === null
      ? request.token
      : await issuer.token(sleep, request.token);
  const nodeToken =
    typeof request.nodeToken === "string" || request.nodeToken === null
      ? request.nodeToken
      : await issuer.token(agent, request.nodeToken);
  const ttl = "ttlSeconds" in request ? { ttlSeconds: request.ttlSeconds } : {};
  const init = {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(nodeToken !== null && { [nodeTokenHeader]: nodeToken }),
      ...request.headers,
    },
    body: request.body ?? JSON.stringify({ csr: request.csr ?? makeCsr(), ...ttl }),
    ...(request.body instanceof ReadableStream && { duplex: "half" }),
  };
  return bench.fetch("/v1/certificates", init);
}
