import { setTimeout as sleep } from "node:timers/promises";
import type { EnvoyCertificate } from "../support/envoy-admin.ts";
import type { Workload } from "../support/mesh.ts";
import { CheckFailed } from "./check.ts";
import type { Stage } from "./stage.ts";

/** What a workload's Envoy shows to the world, by workload name. */
export type Identities = ReadonlyMap<string, EnvoyCertificate>;

/** Reads the identities from the Envoys and holds them against what the agent says that it handed out. */
export async function readIdentities(stage: Stage): Promise<Identities> {
  // Both can be read on either side of a renewal; then they agree a moment later.
  for (let tries = 1; ; tries++) {
    const { identities, difference } = await compare(stage);
    if (difference === undefined) return identities;
    if (tries === 20) throw new CheckFailed(difference, [["agent", stage.agent.program.tail()]]);
    await sleep(100);
  }
}

async function compare({ agent, mesh }: Stage): Promise<{ identities: Identities; difference: string | undefined }> {
  const identities = new Map<string, EnvoyCertificate>();
  const handedOut = new Map((await agent.workloads()).map((workload) => [workload.podUid, workload]));
  let difference: string | undefined;
  for (const workload of mesh.workloads) {
    const shown = await certificateOf(workload);
    identities.set(workload.name, shown);
    const said = handedOut.get(workload.pod.pod.uid);
    const name = `${workload.name}: its Envoy shows`;
    if (shown.spiffeId !== workload.spiffeId) difference = `${name} ${shown.spiffeId}, not ${workload.spiffeId}`;
    else if (said === undefined) difference = `${workload.name}: the agent does not list its pod`;
    else if (said.spiffeId !== shown.spiffeId)
      difference = `${name} ${shown.spiffeId}, the agent says ${said.spiffeId}`;
    else if (said.serialNumber !== shown.serialNumber) {
      difference = `${name} serial ${shown.serialNumber}, the agent says ${said.serialNumber}`;
    } else if (new Date(said.notAfter).getTime() !== shown.notAfter.getTime()) {
      difference = `${name} expiry ${shown.notAfter.toISOString()}, the agent says ${said.notAfter}`;
    }
  }
  return { identities, difference };
}

export async function certificateOf(workload: Workload): Promise<EnvoyCertificate> {
  const certificate = await workload.envoy.admin.certificate();
  if (certificate === undefined) {
    throw new CheckFailed(`${workload.name}: its Envoy has no certificate`, [[workload.name, workload.envoy.tail()]]);
  }
  return certificate;
}
