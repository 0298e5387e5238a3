import { join } from "node:path";
import { type RunningAgent, startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaInWorkerd, type WorkerdCa } from "../support/ca-workerd.ts";
import { envoyBinary } from "../support/envoy-binary.ts";
import { Mesh } from "../support/mesh.ts";
import { stopAll } from "../support/processes.ts";
import { ensureBuilt } from "../support/repo.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import type { Cleanup } from "./cleanup.ts";
import type { Screen } from "./screen.ts";

/** Short, so that a newcomer sees a rotation; the agent renews at 40 to 60 % of it. */
const leafLife = "20s";

/** Everything that the demo runs. */
export interface Stage {
  /** All files of the demo are in it. */
  readonly folder: string;
  readonly ca: WorkerdCa;
  readonly agent: RunningAgent;
  readonly mesh: Mesh;
  /** A fresh token for a pod of the demo's making, and the agent's own beside it: what the CA asks for. */
  tokensFor(namespace: string, serviceAccount: string): Promise<{ pod: string; node: string }>;
  /** The same authority again, on the same port. */
  restartCa(): Promise<void>;
  /** New tokens for everyone, as the kubelet makes them. */
  refreshTokens(): Promise<void>;
}

export async function openStage(screen: Screen, cleanup: Cleanup): Promise<Stage> {
  const envoy = await envoyBinary((line) => screen.note(`..  ${line}`));
  await screen.during("building the two programs", ensureBuilt());
  const { path: folder, remove } = await makeWorkFolder("demo");
  cleanup.add(remove);
  cleanup.add(stopAll);

  const issuer = await TokenIssuer.create();
  const node = makeNode("demo-node");
  const agentPod = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
  const agentToken = join(folder, "agent.token");
  await issuer.writeToken(agentToken, agentPod);
  screen.ok("development token issuer  makes service account tokens, as a cluster's API server does");

  const config = caConfig({ keys: issuer.jwks, leafTtl: leafLife });
  const ca = await screen.during("starting the CA in workerd", startCaInWorkerd({ folder, config }));
  screen.ok(`CA function in workerd    ${ca.url}`);

  const started = startAgent({ folder, caUrl: ca.url, nodeToken: agentToken });
  const agent = await screen.during("starting the agent", started);
  screen.ok(`node agent                unix:${agent.socket}`);

  const mesh = await Mesh.create({ folder, envoyBinary: envoy, issuer, node, socket: agent.socket });
  cleanup.add(() => mesh.stop());
  await screen.during("starting four Envoys", mesh.start());
  screen.ok("four Envoys               each showed its token on the socket and got its identity");

  return {
    ...{ folder, ca, agent, mesh },
    tokensFor: async (namespace, serviceAccount) => ({
      pod: await issuer.token(makePod(namespace, serviceAccount, node)),
      node: await issuer.token(agentPod),
    }),
    restartCa: async () => {
      await startCaInWorkerd({ folder, config, authority: ca.authority, port: ca.port });
    },
    refreshTokens: async () => {
      await mesh.writeTokens();
      await issuer.writeToken(agentToken, agentPod);
    },
  };
}
