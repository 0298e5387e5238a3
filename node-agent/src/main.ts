import { writeSync } from "node:fs";
import { asSignetError, type SignetErrorCode } from "@signet/shared/errors";
import { cleanLines } from "@signet/shared/terminal/text";
import { startAgent } from "./agent.ts";
import { type Invocation, readCommandLine } from "./cli.ts";
import { parseConfig } from "./config.ts";
import type { DoctorFlags } from "./doctor/flags.ts";
import type { FetchFlags } from "./fetch/flags.ts";
import type { InjectFlags } from "./inject/flags.ts";
import { createLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { gatherSettings } from "./sources.ts";
import type { StatusFlags } from "./status/flags.ts";

/** What the process ends with, after sysexits.h where that has a fitting one; `cli.ts` tells them in the help. */
const exitCodes: Partial<Record<SignetErrorCode, number>> = {
  "config-invalid": 2,
  "socket-unavailable": 73,
  "socket-in-use": 73,
  "admin-unavailable": 69,
  "agent-unreachable": 69,
};

const outcome = await readCommandLine(process.argv.slice(2));
if ("run" in outcome) process.exitCode = await run(outcome.run);
else if ("inject" in outcome) process.exitCode = await inject(outcome.inject);
else if ("exitCode" in outcome) process.exitCode = outcome.exitCode;
else process.exitCode = await look(outcome);

// Each is loaded only for it: the agent starts without what reads YAML or draws tables.
async function look(outcome: { status: StatusFlags } | { doctor: DoctorFlags } | { fetch: FetchFlags }) {
  try {
    const stays = ("status" in outcome && outcome.status.watch) || ("fetch" in outcome && outcome.fetch.watch);
    const io = (await import("./terminal/process-io.ts")).processIo({ stays: stays === true });
    if ("status" in outcome) return await (await import("./status/command.ts")).runStatus(outcome.status, io);
    if ("doctor" in outcome) return await (await import("./doctor/command.ts")).runDoctor(outcome.doctor, io);
    return await (await import("./fetch/command.ts")).runFetch(outcome.fetch, io);
  } catch (caught) {
    return tell(caught);
  }
}

async function inject(flags: InjectFlags): Promise<number> {
  try {
    (await import("./inject/command.ts")).runInject(flags);
    return 0;
  } catch (caught) {
    return tell(caught);
  }
}

async function run({ configFile, flags, faults }: Invocation): Promise<number> {
  try {
    const gathered = gatherSettings({ flags, env: process.env, file: configFile });
    const config = parseConfig(gathered.given, [...faults, ...gathered.faults], process.env);
    const signal = firstSignal();
    const metrics = new Metrics();
    const log = createLog(config.logLevel, () => {
      metrics.logLinesLost++;
    });
    const agent = await startAgent(config, {
      now: () => Date.now() / 1_000,
      monotonic: () => performance.now() / 1_000,
      random: Math.random,
      setTimer: (callback, milliseconds) => {
        const timer = setTimeout(callback, milliseconds);
        return () => clearTimeout(timer);
      },
      log,
      metrics,
    });
    log.info({ signal: await signal }, "stopping");
    await agent.stop();
    return 0;
  } catch (caught) {
    return tell(caught);
  }
}

function tell(caught: unknown): number {
  const error = asSignetError(caught, "internal");
  const code = exitCodes[error.code] ?? 1;
  // Where an error is one of those that are known, its frames help nobody. Foreign text may stand in it.
  const text = error.code === "internal" ? (error.stack ?? error.message) : error.message;
  try {
    writeSync(2, `signet-agent: ${cleanLines(text)}\n`);
  } catch {
    // Nobody reads it, or the disk is full: the exit code still tells.
  }
  return code;
}

// A second signal finds no listener and ends the process at once.
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, resolve);
  });
}
