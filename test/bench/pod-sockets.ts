import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Kubelet } from "../agent/kubelet.ts";
import { startAgent } from "../support/agent-process.ts";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaProcess } from "../support/ca-process.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { cpuSecondsOf, median, rssMibOf } from "./cpu.ts";
import { type Place, Sidecars } from "./sidecars.ts";

const size = 250;
const rounds = 3;

interface Run {
  readonly publishSeconds: number;
  readonly secretSeconds: number;
  readonly rssMib: number;
  readonly cpuSeconds: number;
}

/** The shared socket against a socket for each pod, on an agent that runs already; the kubelet publishes first. */
export async function benchPodSockets(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const node = makeNode("node-1");
  const nodeToken = join(folder.path, "node-token");
  await issuer.writeToken(nodeToken, makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
  const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  const pods = Array.from({ length: size }, (_, n) => makePod("bench", `account-${n}`, node));
  const volumes = await Promise.all(
    pods.map(async (identity) => {
      const { namespace, pod, serviceAccount } = identity;
      return {
        pod: { namespace, serviceAccount, podName: pod.name, podUid: pod.uid },
        token: await issuer.token(identity),
      };
    }),
  );

  const once = async (round: number, own: boolean): Promise<Run> => {
    const place = join(folder.path, `${round}${own}`);
    await mkdir(place);
    const kubelet = new Kubelet(place);
    const csi = ["--csi-socket", kubelet.csiSocket, "--kubelet-dir", kubelet.directory, "--node-name", "node-1"];
    const agent = await startAgent(
      { folder: place, caUrl: ca.url, nodeToken, moreArgs: own ? csi : [] },
      own ? kubelet : undefined,
    );
    let sidecars: Sidecars | undefined;
    try {
      const before = await cpuSecondsOf(agent.program.pid);
      const start = performance.now();
      const places: Place[] = [];
      for (const [n, volume] of volumes.entries()) {
        if (!own) {
          places.push({ socket: agent.socket, token: volume.token });
          continue;
        }
        await kubelet.publish(volume);
        const mounted = join(place, `m${n}`);
        await symlink(kubelet.target(volume), mounted);
        places.push({ socket: join(mounted, "socket") });
      }
      const published = performance.now();
      sidecars = new Sidecars(places);
      await sidecars.start();
      return {
        publishSeconds: (published - start) / 1_000,
        secretSeconds: (performance.now() - published) / 1_000,
        rssMib: await rssMibOf(agent.program.pid),
        cpuSeconds: (await cpuSecondsOf(agent.program.pid)) - before,
      };
    } finally {
      sidecars?.stop();
      await agent.stop();
    }
  };

  console.log(`Agent: ${size} sidecars on one socket with tokens, and on sockets of their own`);
  try {
    for (const own of [false, true]) {
      const runs: Run[] = [];
      for (let round = 0; round < rounds; round++) runs.push(await once(round, own));
      const middle = (read: (run: Run) => number) => median(runs.map(read));
      console.log(
        `  ${own ? "own sockets: " : "one socket:  "} ${own ? `published in ${middle((run) => run.publishSeconds).toFixed(2)} s, ` : ""}` +
          `all secrets in ${middle((run) => run.secretSeconds).toFixed(2)} s; agent ${middle((run) => run.rssMib).toFixed(0)} MiB RSS, ` +
          `${(middle((run) => run.cpuSeconds) * 1_000).toFixed(0)} ms CPU`,
      );
    }
  } finally {
    await ca.stop();
    await folder.remove();
  }
}
