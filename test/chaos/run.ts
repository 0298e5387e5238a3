import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/poll.ts";
import { Happenings } from "./happenings.ts";
import { type EventKind, makePlan, partOf, type Step } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";
import { describe, Timeline } from "./timeline.ts";
import { Traffic } from "./traffic.ts";

export interface ChaosReport {
  readonly seconds: number;
  readonly traffic: Traffic;
  readonly happened: ReadonlyMap<EventKind, number>;
  /** What went wrong with an event itself, or with the agent outside of any. */
  readonly faults: readonly string[];
  readonly longestEnvoyStart: number;
  readonly longestNewPod: number;
  readonly servedFromMemory: number;
  /** Resident memory of the agent in MiB, once each second, with its start that it belongs to. */
  readonly memory: readonly { readonly start: number; readonly mebibytes: number }[];
}

export interface ChaosOptions {
  readonly seconds: number;
  readonly without: readonly EventKind[];
}

const lookMs = 250;
// Of what acts on one part, also when it takes longer than planned.
const restMs = 2_000;

/** Lets everything of a plan happen on a stage under load, and waits until all is well again. */
export async function runChaos(stage: Stage, random: Random, options: ChaosOptions): Promise<ChaosReport> {
  const traffic = new Traffic(stage.mesh);
  const happenings = new Happenings(stage, traffic);
  const timeline = new Timeline(traffic);
  const happened = new Map<EventKind, number>();
  const faults: string[] = [];
  const memory: { start: number; mebibytes: number }[] = [];
  const ended = new AbortController();
  const looking = look(stage, { happenings, traffic, faults, memory }, ended.signal);

  const happen = async ({ event }: Step) => {
    const began = Date.now();
    const detail = describe(event);
    if ("lasts" in event && event.lasts > 0) timeline.say(event.kind, detail);
    try {
      const says = await happenings.make(event);
      timeline.say(`${"lasts" in event && event.lasts > 0 ? "- over: " : ""}${event.kind}`, says, Date.now() - began);
    } catch (error) {
      faults.push(`${event.kind}: ${error instanceof Error ? error.message : String(error)}`);
      timeline.say(event.kind, `FAILED: ${faults.at(-1)}`, Date.now() - began);
    }
    happened.set(event.kind, (happened.get(event.kind) ?? 0) + 1);
  };

  timeline.heading();
  // What acts on the same part waits for what acts on it now, should that take longer than planned.
  const tails = new Map<string, Promise<void>>();
  const plan = makePlan(random, { ...options, workloads: stage.mesh.workloads.length });
  for (const step of plan) {
    await sleep(Math.max(0, step.at * 1_000 - timeline.seconds * 1_000));
    const part = partOf(step.event.kind);
    const before = tails.get(part) ?? Promise.resolve();
    tails.set(
      part,
      before.then(() => happen(step)).then(() => sleep(restMs)),
    );
  }
  await Promise.all(tails.values());
  timeline.say("the plan is done", "");
  await settle(stage).catch((error: unknown) => faults.push(error instanceof Error ? error.message : String(error)));
  ended.abort();
  await looking;
  await traffic.stop();
  timeline.say("all is well", "");
  const { longestEnvoyStart, longestNewPod, servedFromMemory } = happenings;
  const figures = { longestEnvoyStart, longestNewPod, servedFromMemory, memory };
  return { seconds: timeline.seconds, traffic, happened, faults, ...figures };
}

interface Looker {
  readonly happenings: Happenings;
  readonly traffic: Traffic;
  readonly faults: string[];
  readonly memory: { start: number; mebibytes: number }[];
}

/** Sees what no event is about: certificates that run out, programs that end by themselves, memory. */
async function look({ agent, invariants, mesh }: Stage, looker: Looker, signal: AbortSignal): Promise<void> {
  const { faults, happenings, memory, traffic } = looker;
  const told = new Set<string>();
  const tell = (failure: Error | undefined) => {
    if (failure === undefined || told.has(failure.message)) return;
    told.add(failure.message);
    faults.push(failure.message);
  };
  for (let looks = 0; !signal.aborted; looks++) {
    invariants.look(Date.now());
    if (happenings.agentExpected) tell(agent.failure());
    for (const { envoy, name } of mesh.workloads) {
      if (!traffic.isAway(name)) tell(envoy.failure());
    }
    if (looks % 4 === 0 && happenings.agentExpected) memory.push({ start: agent.starts, mebibytes: agent.memory() });
    await sleep(lookMs);
  }
}

/** Until every workload has a certificate that is good for a while, and every stream is there. */
async function settle({ agent, expectedStreams, mesh, pods, stranger }: Stage): Promise<void> {
  await stranger.stop();
  await until("every workload to be well again", async () => {
    const listed = new Map((await agent.workloads()).map((workload) => [workload.podUid, workload]));
    const isWell = ({ uid }: { uid: string }) => {
      const { lastError, notAfter } = listed.get(uid) ?? { lastError: "it is not there", notAfter: "1970-01-01" };
      return lastError === null && Date.parse(notAfter) > Date.now() + 5_000;
    };
    const ready = await Promise.all(mesh.workloads.map(({ envoy }) => envoy.admin.isReady()));
    return pods.every(isWell) && ready.every((one) => one);
  });
  await until(`${expectedStreams} streams`, async () => {
    const streams = /^signet_agent_sds_streams (\d+)$/m.exec(await agent.metrics())?.[1];
    if (Number(streams) !== expectedStreams) throw new Error(`there are ${streams}`);
    return true;
  });
}
