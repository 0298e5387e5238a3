import { setTimeout as sleep } from "node:timers/promises";
import type { ServerInfo } from "../support/envoy-admin.ts";
import type { Load } from "../support/load.ts";
import { until } from "../support/poll.ts";
import { CheckFailed } from "./check.ts";
import { certificateOf, type Identities, readIdentities } from "./identities.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";

type Birth = ServerInfo & { readonly pid: number | undefined };

/** Waits, under load, until the agent has given every workload a new certificate. */
export async function watchRotation(screen: Screen, stage: Stage, load: Load, before: Identities): Promise<Identities> {
  const { workloads } = stage.mesh;
  const births = new Map<string, Birth>();
  for (const { name, envoy } of workloads) births.set(name, { ...(await envoy.admin.serverInfo()), pid: envoy.pid });
  const renewed = new Set<string>();
  await screen.during(
    "waiting for the agent to renew",
    until(
      "every certificate to be renewed",
      async () => {
        for (const workload of workloads) {
          const { serialNumber } = await certificateOf(workload);
          if (serialNumber !== before.get(workload.name)?.serialNumber) renewed.add(workload.name);
        }
        return renewed.size === workloads.length;
      },
      { every: 200, within: 40_000 },
    ).catch((error: Error) => {
      throw new CheckFailed(error.message, [["agent", stage.agent.program.tail()]]);
    }),
    () => `${renewed.size} of ${workloads.length} renewed, ${load.report().requests} requests`,
  );
  // Long enough for each Envoy to open new connections with what it has now.
  await sleep(1_000);
  const after = await readIdentities(stage);
  screen.table([
    ["WORKLOAD", "OLD SERIAL", "NEW SERIAL"],
    ...workloads.map(({ name }) => [name, before.get(name)?.serialNumber ?? "", after.get(name)?.serialNumber ?? ""]),
  ]);
  checkLoad(screen, stage, load, "while every certificate was replaced");
  await checkNoRestart(screen, stage, births);
  return after;
}

/** Kills the CA and lets the requests go on. */
export async function watchWithoutCa(screen: Screen, stage: Stage, load: Load): Promise<void> {
  await stage.ca.kill();
  const reachable = await fetch(`${stage.ca.url}/healthz`).then(
    () => true,
    () => false,
  );
  if (reachable) throw new CheckFailed(`the CA still answers at ${stage.ca.url}`, [["CA", stage.ca.tail()]]);
  screen.ok(`CA killed: nobody answers at ${stage.ca.url}`);
  const { requests } = load.report();
  const seconds = 5;
  await screen.during("requests go on", sleep(seconds * 1_000), () => `${load.report().requests - requests} requests`);
  const more = load.report().requests - requests;
  if (more < seconds) throw new CheckFailed(`only ${more} requests went through in ${seconds} s`);
  checkLoad(screen, stage, load, `of which ${more} without a CA`);
}

function checkLoad(screen: Screen, stage: Stage, load: Load, when: string): void {
  const { requests, failures, examples } = load.report();
  const text = `requests ${requests}, failures ${failures}, ${when}`;
  if (failures > 0 || requests === 0) {
    throw new CheckFailed(
      [text, ...examples].join("\n    "),
      stage.mesh.workloads.map(({ name, envoy }) => [name, envoy.tail()]),
    );
  }
  screen.ok(text);
}

async function checkNoRestart(screen: Screen, { mesh }: Stage, births: ReadonlyMap<string, Birth>): Promise<void> {
  const uptimes: number[] = [];
  for (const { name, envoy } of mesh.workloads) {
    const [then, now] = [births.get(name), await envoy.admin.serverInfo()];
    if (envoy.pid !== then?.pid || now.restartEpoch !== then?.restartEpoch || now.uptimeSeconds < then.uptimeSeconds) {
      throw new CheckFailed(`${name}: its Envoy was restarted`, [[name, envoy.tail()]]);
    }
    uptimes.push(now.uptimeSeconds);
  }
  screen.ok(
    `no Envoy restarted: the same processes, restart epoch 0, uptime ${Math.min(...uptimes)} s and rising in /server_info`,
  );
}
