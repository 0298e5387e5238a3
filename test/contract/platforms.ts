import { nodeTokenHeader } from "@signet/shared/ca-api";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { startCaInWorkerd } from "../support/ca-workerd.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer, type TokenOverrides } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";

/** The platforms that the contract holds on. */
export const platforms = ["node", "workerd"] as const;
export type Platform = (typeof platforms)[number];

/** A running CA and the cluster that it trusts. */
export interface Bench {
  readonly ca: RunningCa;
  readonly issuer: TokenIssuer;
  readonly sleep: ReturnType<typeof makePod>;
  readonly agent: ReturnType<typeof makePod>;
  readonly node: ReturnType<typeof makeNode>;
  stop(): Promise<void>;
}

export const sleepId = "spiffe://cluster.local/ns/foo/sa/sleep";

export async function startBench(platform: Platform): Promise<Bench> {
  const folder = await makeWorkFolder("contract");
  const issuer = await TokenIssuer.create();
  const config = caConfig({ keys: issuer.jwks, maxTtl: "2h" });
  const ca =
    platform === "node"
      ? await startCaProcess({ folder: folder.path, config })
      : await startCaInWorkerd({ folder: folder.path, config });
  const node = makeNode("node-1");
  return {
    ca,
    issuer,
    node,
    sleep: makePod("foo", "sleep", node),
    agent: makePod(agentServiceAccount.namespace, agentServiceAccount.name, node),
    async stop() {
      await ca.stop();
      await folder.remove();
    },
  };
}

export interface Ask {
  /** Overrides for the workload's token; a string is the token itself, null leaves it out. */
  readonly token?: TokenOverrides | string | null;
  readonly nodeToken?: TokenOverrides | string | null;
  readonly csr?: string;
  readonly ttlSeconds?: unknown;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Posts to /v1/certificates; what is not said is right. */
export async function ask(bench: Bench, request: Ask = {}): Promise<Response> {
  const { issuer, sleep, agent, ca } = bench;
  const token =
    typeof request.token === "string" || request.token === null
      ? request.token
      : await issuer.token(sleep, request.token);
  const nodeToken =
    typeof request.nodeToken === "string" || request.nodeToken === null
      ? request.nodeToken
      : await issuer.token(agent, request.nodeToken);
  const ttl = "ttlSeconds" in request ? { ttlSeconds: request.ttlSeconds } : {};
  return fetch(`${ca.url}/v1/certificates`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(nodeToken !== null && { [nodeTokenHeader]: nodeToken }),
      ...request.headers,
    },
    body: request.body ?? JSON.stringify({ csr: request.csr ?? makeCsr(), ...ttl }),
  });
}
