import { setInterval } from "node:timers/promises";
import { Load } from "../support/load.ts";
import type { Cleanup } from "./cleanup.ts";
import { searchAllFiles } from "./files.ts";
import { type Identities, readIdentities } from "./identities.ts";
import { callAllPairs, refuseStrangers } from "./requests.ts";
import { watchRotation, watchWithoutCa } from "./rotation.ts";
import type { Screen } from "./screen.ts";
import { openStage, type Stage } from "./stage.ts";

/** The whole mission, step by step. @throws CheckFailed when one of its promises does not hold */
export async function tell(screen: Screen, cleanup: Cleanup): Promise<Stage> {
  screen.title("Signet: four workloads get their identities from a serverless CA, by way of a node agent, over SDS");

  screen.heading("Start");
  const stage = await openStage(screen, cleanup);

  screen.heading("Requests through mutual TLS");
  await callAllPairs(screen, stage);
  await refuseStrangers(screen, stage);

  screen.heading("Identities, as each Envoy's admin page shows them");
  const first = await readIdentities(stage);
  listIdentities(screen, stage, first);
  screen.ok("the agent's /v1/workloads says the same");

  screen.heading("No key and no certificate of a workload is in a file");
  await searchAllFiles(screen, stage);

  screen.heading("Rotation while requests flow");
  const load = new Load(stage.mesh.pairs);
  cleanup.add(async () => void (await load.stop()));
  await watchRotation(screen, stage, load, first);
  await searchAllFiles(screen, stage, true);

  screen.heading("The CA goes away");
  await watchWithoutCa(screen, stage, load);
  await load.stop();
  return stage;
}

function listIdentities(screen: Screen, { mesh }: Stage, identities: Identities): void {
  screen.table([
    ["WORKLOAD", "SPIFFE ID", "SERIAL", "EXPIRES"],
    ...mesh.workloads.map(({ name }) => {
      const { spiffeId = "", serialNumber = "", notAfter = new Date(0) } = identities.get(name) ?? {};
      return [name, spiffeId, serialNumber, `in ${Math.round((notAfter.getTime() - Date.now()) / 1000)} s`];
    }),
  ]);
}

const tokenRefreshMs = 20 * 60_000;

/** `--keep`: everything runs on, and the reader is told where to look. */
export async function keepRunning(screen: Screen, stage: Stage): Promise<void> {
  await screen.during("starting the CA again", stage.restartCa());
  screen.heading("Running until Ctrl-C; the CA is back, certificates are renewed every 8 to 12 s");
  screen.table([
    ["TO SEE", "COMMAND"],
    ...stage.mesh.pairs.map(({ from, to, url }) => [`${from.name} to ${to.name}`, `curl ${url}/ip`]),
    ["whom httpbin sees", `curl ${stage.mesh.pairs[0]?.url}/headers`],
    ...stage.mesh.workloads.map(({ name, envoy }) => [`certificates of ${name}`, `curl ${envoy.admin.url}/certs`]),
    ["the agent's workloads", `curl ${stage.agent.adminUrl}/v1/workloads`],
    ["the agent's metrics", `curl ${stage.agent.adminUrl}/metrics`],
    ["the trust bundle", `curl ${stage.ca.url}/v1/trust-bundle`],
    ["logs, configurations", `ls ${stage.folder}`],
  ]);
  for await (const _ of setInterval(tokenRefreshMs)) await stage.refreshTokens();
}
