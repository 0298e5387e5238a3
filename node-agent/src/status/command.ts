import { asSignetError } from "@signet/shared/errors";
import { clean, jsonLine } from "@signet/shared/terminal/text";
import type { Address } from "../config.ts";
import type { CommandIo } from "../terminal/io.ts";
import type { StatusFlags } from "./flags.ts";
import { attention, judgeWorkload, needsAttention, sortByTrouble } from "./judge.ts";
import { adminAddress, readSnapshot } from "./read.ts";
import { render } from "./render.ts";

/**
 * Runs `signet-agent status`.
 * @returns the exit code: 0, or 1 when something needs attention
 * @throws SignetError `config-invalid`, `agent-unreachable`
 */
export async function runStatus(flags: StatusFlags, io: CommandIo): Promise<number> {
  const address = adminAddress({ admin: flags.admin, config: flags.config, env: io.env });
  if (flags.watch === true) return watch(address, flags, io);
  const { code, text } = await look(address, flags, io);
  io.out.write(text);
  return code;
}

interface Look {
  readonly text: string;
  readonly code: number;
}

async function look(address: Address, flags: StatusFlags, { interrupted, out }: CommandIo): Promise<Look> {
  const { all, errors, json, namespace, watch: watching } = flags;
  const { raw, status, workloads } = await readSnapshot(address, interrupted);
  const judged = workloads.map((one) => judgeWorkload(one, status.now));
  const wanted = (one: (typeof judged)[number]) => namespace === undefined || one.namespace === namespace;
  const trouble = attention({ status }, judged.filter(wanted));
  const code = trouble.length === 0 ? 0 : 1;
  const shown = (one: (typeof judged)[number]) => wanted(one) && (errors !== true || needsAttention(one));
  if (json === true) {
    const document = {
      attention: trouble,
      status: raw.status,
      workloads: raw.workloads.flatMap((one, at) => {
        const known = judged[at];
        return known !== undefined && shown(known) ? [{ ...(one as object), health: known.health }] : [];
      }),
    };
    return { text: jsonLine(document), code };
  }
  const view = {
    status,
    workloads: sortByTrouble(judged.filter(shown)),
    total: judged.length,
    attention: trouble,
  };
  const scrolls = watching !== true || !out.isTty;
  const lines = all === true && scrolls ? Number.POSITIVE_INFINITY : out.rows();
  return { text: `${render(view, out, { lines, scrolls }).join("\n")}\n`, code };
}

const alternateScreen = { enter: "\u001b[?1049h\u001b[?25l", leave: "\u001b[?25h\u001b[?1049l" };

/** Looks again and again; an agent that cannot be reached is waited for. */
async function watch(address: Address, flags: StatusFlags, io: CommandIo): Promise<number> {
  const { interrupted, out } = io;
  const redraws = out.isTty && flags.json !== true;
  let last: Look = { text: "", code: 0 };
  if (redraws) out.write(alternateScreen.enter);
  try {
    while (!interrupted.aborted) {
      last = await look(address, flags, io).catch((caught: unknown) => unreachable(caught, flags, io));
      if (interrupted.aborted) break;
      if (redraws) out.write(`\u001b[H${last.text.replaceAll("\n", "\u001b[K\r\n")}\u001b[J`);
      else out.write(flags.json === true ? last.text : `${last.text}\n`);
      await pause(flags.interval, interrupted);
    }
  } finally {
    // What was seen last stays on the screen that one comes back to.
    if (redraws) out.write(`${alternateScreen.leave}${last.text}`);
  }
  return last.code;
}

function unreachable(caught: unknown, { json }: StatusFlags, { now, out }: CommandIo): Look {
  const { code, message } = asSignetError(caught, "agent-unreachable");
  const time = new Date(now() * 1_000).toISOString();
  if (json === true) return { text: jsonLine({ time, error: { code, message } }), code: 69 };
  return { text: `${time}  ${out.paint("bad", clean(message))}\n`, code: 69 };
}

function pause(seconds: number, interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      interrupted.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, seconds * 1_000);
    interrupted.addEventListener("abort", end);
    if (interrupted.aborted) end();
  });
}
