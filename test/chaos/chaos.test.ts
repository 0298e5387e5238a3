/**
 * Ten minutes of everything going wrong, in less than two: real Envoys under load, a real agent, the real CA. The order is
 * random; `SIGNET_CHAOS_SEED=n npm run test:chaos` repeats a run's plan, `SIGNET_CHAOS_SECONDS=600` makes it longer,
 * `SIGNET_CHAOS_WITHOUT="CA hangs,agent is killed"` leaves events out to see which it is, and `SIGNET_CHAOS_AGENT=folder` takes another build of the agent (a folder with
 * `package.json`, `bin` and `dist`). The logs of all programs are copied into the folder `SIGNET_CHAOS_KEEP` at the end.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type EventKind, eventKinds, wrongAnswers } from "./plan.ts";
import { Random, seedOfRun } from "./random.ts";
import { type ChaosReport, runChaos } from "./run.ts";
import { Stage } from "./stage.ts";
import { table } from "./timeline.ts";

const seconds = Number(process.env.SIGNET_CHAOS_SECONDS ?? 100);
// An agent with a dozen sidecars takes 60 to 80 MiB.
const mostMemory = 160;

let stage: Stage;
let report: ChaosReport;
let without: EventKind[] = [];

beforeAll(async () => {
  const seed = seedOfRun();
  console.log(`\nchaos with SIGNET_CHAOS_SEED=${seed}`);
  const random = new Random(seed);
  stage = await Stage.set(random);
  without = leftOut(stage.faketime);
  report = await runChaos(stage, random, { seconds, without });
  console.log(`\n${table(summary(seed))}\n`);
});
afterAll(async () => {
  const keep = process.env.SIGNET_CHAOS_KEEP ?? "";
  if (keep !== "" && stage !== undefined) await stage.keepLogs(keep);
  await stage?.close();
});

it("lets no request fail but those of an Envoy that is not there", () => {
  expect(report.traffic.unexplainedFailures).toEqual([]);
  expect(report.traffic.requests).toBeGreaterThan(5_000);
});

it("keeps every invariant on each push", () => {
  expect(stage.invariants.violations).toEqual([]);
  // Each pod has at least three certificates in that time.
  expect(stage.invariants.serials.size).toBeGreaterThan(3 * stage.pods.length);
});

it("makes each kind of event happen, and recovers from each", () => {
  expect(report.faults).toEqual([]);
  expect(report.servedFromMemory).toBeGreaterThan(0);
  for (const kind of eventKinds.filter((one) => !without.includes(one))) {
    expect(report.happened.get(kind), kind).toBeGreaterThan(0);
  }
  for (const what of without.includes("CA answers wrong") ? [] : wrongAnswers) {
    expect(stage.lies.get(what), what).toBeGreaterThan(0);
  }
  // In CI nothing may be left out.
  if (process.env.CI !== undefined) expect(without).toEqual([]);
});

it("never gives an identity to a token of nobody's", () => {
  expect(stage.stranger.identities).toEqual([]);
  expect(stage.stranger.tries).toBeGreaterThan(1);
});

it("has each Envoy show the certificate that the agent says it has", async () => {
  const listed = await stage.agent.workloads();
  for (const { envoy, name, pod } of stage.mesh.workloads) {
    const said = listed.find(({ podUid }) => podUid === pod.pod.uid);
    expect((await envoy.admin.certificate())?.serialNumber, name).toBe(said?.serialNumber);
  }
});

it("writes neither token nor key nor certificate into a log", () => {
  for (const log of [stage.agent.logFile, join(stage.folder, "signet-ca.log")]) {
    const text = readFileSync(log, "utf8");
    expect(text.length).toBeGreaterThan(0);
    // What tokens, PEM and PKCS#8 in base64 begin with.
    expect(text).not.toMatch(/eyJ[\w-]{10}|-----BEGIN|MIG[HIT]AgEA/);
  }
});

it("takes no more memory than an agent of that size should", () => {
  expect(Math.max(...report.memory.map(({ mebibytes }) => mebibytes))).toBeLessThan(mostMemory);
});

function leftOut(faketime: string | undefined): EventKind[] {
  const told = (process.env.SIGNET_CHAOS_WITHOUT ?? "").split(",");
  const wished = eventKinds.filter((kind) => told.includes(kind));
  if (wished.length > 0) console.log(`left out as wished: ${wished.join(", ")}`);
  if (faketime !== undefined) return wished;
  console.log("left out for want of libfaketime (Debian: apt-get install libfaketime): steps of the agent's clock");
  return [...wished, "agent's clock jumps", "agent's clock is off"];
}

function summary(seed: number): [string, string | number][] {
  const { faults, happened, longestEnvoyStart, longestNewPod, memory, servedFromMemory, traffic } = report;
  const { invariants, pods } = stage;
  const most = Math.max(...memory.map(({ mebibytes }) => mebibytes));
  return [
    ["seed", seed],
    ["seconds", report.seconds.toFixed(0)],
    ["requests", traffic.requests],
    ["failures, explained by an Envoy's absence", traffic.explained],
    ["failures, unexplained", traffic.unexplained],
    ["longest gap between good answers of a pair", `${traffic.longestGap} ms`],
    ["pushes checked", invariants.pushes],
    ["secrets checked", invariants.secrets],
    ["certificates", `${invariants.serials.size} for ${pods.length} pods`],
    ["invariants broken", invariants.violations.length],
    ["wrong answers of the CA", [...stage.lies].map(([what, count]) => `${what} ${count}`).join(", ")],
    ["bundle sequence at the end", stage.authorities.sequence],
    ["starts of the agent", stage.agent.starts],
    ["memory of the agent, most", `${most.toFixed(0)} MiB`],
    ["longest start of an Envoy, to its identity", `${longestEnvoyStart} ms`],
    ["longest wait of a new pod after a fault of the CA", `${longestNewPod} ms`],
    ["streams that had to be served from memory", servedFromMemory],
    ["events that failed", faults.length],
    ...logged().map(([message, count]): [string, number] => [`log: ${message}`, count]),
    ...[...happened]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([kind, count]): [string, number] => [`event: ${kind}`, count]),
  ];
}

/** What the agent has to say, by how often it said it. */
function logged(): [string, number][] {
  const counts = new Map<string, number>();
  for (const line of readFileSync(stage.agent.logFile, "utf8").split("\n")) {
    const message = /"msg":"([^"]{1,60})/.exec(line)?.[1];
    if (message !== undefined) counts.set(message, (counts.get(message) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, 12);
}
