import { fromNow, iso, span } from "@signet/shared/terminal/duration";
import { clean, fit, widthOf } from "@signet/shared/terminal/text";
import { type Cell, type Column, renderTable } from "../terminal/table.ts";
import type { Paint, Terminal, Tone } from "../terminal/terminal.ts";
import type { WorkloadHealth } from "../workload-health.ts";
import { type JudgedWorkload, needsAttention } from "./judge.ts";
import type { Status } from "./read.ts";

const tones: Record<WorkloadHealth | Status["ca"][number]["state"], Tone> = {
  expired: "bad",
  late: "bad",
  refused: "bad",
  tokenless: "warning",
  failing: "warning",
  idle: "quiet",
  ok: "good",
  healthy: "good",
  untried: "quiet",
};

// Narrower windows have no room for the renewal, the bar, or errors in a column of their own.
const columnsForRenewal = 76;
const columnsForBar = 90;
const columnsForErrors = 120;
const barWidth = 8;
const widestError = 100;
// With less than this left of its life a certificate's end is near, whatever its workload waits for.
const smallestShareLeft = 0.25;
/** However small the window, this many workloads that are well are shown. */
const fewestRows = 5;

export interface View {
  readonly status: Status;
  /** Sorted; what filters left out is not among them. */
  readonly workloads: readonly JudgedWorkload[];
  /** Of the agent, without filters. */
  readonly total: number;
  readonly attention: readonly string[];
}

export interface Room {
  /** How many there are for all of it. */
  readonly lines: number;
  /** Whether more than that can still be looked at. */
  readonly scrolls: boolean;
}

/** The whole as lines, as many as there is room for. Foreign text is cleaned. */
export function render({ attention, status, total, workloads }: View, terminal: Terminal, room: Room): string[] {
  const { paint } = terminal;
  const width = terminal.columns();
  const head = [
    ...header(status, paint, width),
    "",
    ...endpoints(status, paint, width),
    ...bundle(status, paint, width),
    ...soFar(status, paint, width),
    "",
  ];
  const verdict =
    attention.length === 0
      ? [paint("good", "all is well")]
      : [paint("bad", "needs attention:"), ...attention.map((one) => `  ${fit(clean(one), width - 2)}`)];
  const table = workloadTable(workloads, status.now, terminal);
  const title = workloads.length === total ? `${total}` : `${workloads.length} of ${total}`;
  const lines = room.lines - head.length - verdict.length - 3;
  return [
    ...head,
    `${paint("strong", "workloads")}  ${title}`,
    ...cut(table, workloads, { ...room, lines }).map((line) => `  ${line}`.trimEnd()),
    "",
    ...verdict,
  ];
}

function header(status: Status, paint: Paint, width: number): string[] {
  const { csi, nodeName, now, socket, startedAt, streams, trustDomain, version } = status;
  const driver =
    csi === null
      ? []
      : [`CSI driver ${csi.registered ? "registered" : "not registered"}, ${counted(csi.volumes, "volume")}`];
  const waiting = csi === null || csi.withoutToken === 0 ? [] : [`${csi.withoutToken} of them without a token yet`];
  return [
    ...flow(
      [
        `signet-agent ${version}`,
        ...(nodeName === null ? [] : [`node ${nodeName}`]),
        `up ${span(now - startedAt)}`,
        `trust domain ${trustDomain}`,
      ],
      width,
    ).map((line, at) => (at === 0 ? paint("strong", line) : line)),
    ...flow(
      [socket === null ? "no shared socket" : `socket ${socket}`, counted(streams, "stream"), ...driver, ...waiting],
      width,
    ),
  ];
}

function endpoints({ ca, now }: Status, paint: Paint, width: number): string[] {
  const room = width - labelWidth - stateWidth;
  return ca.flatMap(({ lastError, lastSuccessAt, retryAt, state, url }, which) => {
    const success = lastSuccessAt === null ? "no success yet" : `last success ${fromNow(lastSuccessAt, now)}`;
    const isFailing = state === "failing";
    const retry = isFailing && retryAt !== null ? [`next try ${fromNow(retryAt, now)}`] : [];
    const error = isFailing && lastError !== null ? [paint("quiet", fit(errorText(lastError), room))] : [];
    return [...flow([url, success, ...retry], room), ...error].map((line, at) => {
      const label = which === 0 && at === 0 ? "CA" : "";
      return `${paint("strong", label.padEnd(labelWidth))}${paint(tones[state], (at === 0 ? state : "").padEnd(stateWidth))}${line}`;
    });
  });
}

const stateWidth = 9;
const labelWidth = 11;

function bundle({ bundle: known, now }: Status, paint: Paint, width: number): string[] {
  const label = (text: string, rest: string) => `${paint("strong", text.padEnd(labelWidth))}${rest}`;
  if (known === null) return [label("bundle", paint("bad", "none yet"))];
  const { learnedAt, refreshHintSeconds, roots, sequence } = known;
  const facts = flow(
    [`sequence ${sequence}`, `learned ${fromNow(learnedAt, now)}`, `looked for every ${span(refreshHintSeconds)}`],
    width - labelWidth,
  );
  const rootLines = roots.map(({ notAfter, sha256, subject }) => {
    const end = notAfter <= now ? `ENDED ${fromNow(notAfter, now)}` : `ends ${fromNow(notAfter, now)}`;
    return fit(
      clean(`root ${subject}, ${end} (${iso(notAfter).slice(0, 10)}), sha256 ${sha256.slice(0, 16)}`),
      width - labelWidth,
    );
  });
  return [...facts, ...rootLines].map((line, at) => label(at === 0 ? "bundle" : "", line));
}

/** What happened since the agent's start; of what can go wrong only what did. */
function soFar({ counters }: Status, paint: Paint, width: number): string[] {
  const { clockJumps, issuance, nacks, refusedConnections, refusedStreams } = counters;
  const { issued = 0, ...failures } = issuance;
  const facts = [
    counted(issued, "certificate"),
    ...reasons(failures, "failure"),
    ...reasons(refusedStreams, "refused stream"),
    ...reasons(refusedConnections, "refused connection"),
    ...(nacks === 0 ? [] : [counted(nacks, "NACK")]),
    ...(clockJumps.forward === 0 ? [] : [`clock stepped forward ${counted(clockJumps.forward, "time")}`]),
    ...(clockJumps.back === 0 ? [] : [`clock stepped back ${counted(clockJumps.back, "time")}`]),
  ];
  return flow(facts, width - labelWidth).map(
    (line, at) => paint("strong", (at === 0 ? "so far" : "").padEnd(labelWidth)) + line,
  );
}

/** A sum, and its parts by reason, most first. */
function reasons(by: Readonly<Record<string, number>>, what: string): string[] {
  const parts = Object.entries(by)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a);
  if (parts.length === 0) return [];
  const sum = parts.reduce((total, [, count]) => total + count, 0);
  return [`${counted(sum, what)} (${parts.map(([reason, count]) => `${reason} ${count}`).join(", ")})`];
}

/** One element for each workload, which may be two lines, after the one of the titles. */
function workloadTable(workloads: readonly JudgedWorkload[], now: number, { columns, paint }: Terminal): string[] {
  if (workloads.length === 0) return [paint("quiet", "none")];
  const width = columns() - 2;
  const withRenewal = width >= columnsForRenewal;
  const withBar = width >= columnsForBar;
  const errorsBeside = width >= columnsForErrors && workloads.some(({ lastError }) => lastError !== null);
  const shape: Column[] = [
    { title: "STATE" },
    { title: "WORKLOAD", shrinksTo: 10 },
    { title: "POD", shrinksTo: 10 },
    { title: "EXPIRES" },
    ...(withBar ? [{ title: "LEFT" }] : []),
    ...(withRenewal ? [{ title: "RENEWS" }] : []),
    { title: "STREAMS", align: "right" as const },
    ...(errorsBeside ? [{ title: "LAST ERROR", shrinksTo: 20 }] : []),
  ];
  const rows = workloads.map((one): Cell[] => {
    const tone = one.shareLeft < smallestShareLeft && one.streams > 0 ? "bad" : tones[one.health];
    return [
      { text: one.health, tone: tones[one.health] },
      { text: clean(`${one.namespace}/${one.serviceAccount}`) },
      { text: clean(one.podName) },
      { text: fromNow(one.notAfter, now), tone },
      ...(withBar ? [{ text: bar(one.shareLeft), tone }] : []),
      ...(withRenewal ? [{ text: one.renewAt <= now ? "now" : fromNow(one.renewAt, now) }] : []),
      { text: String(one.streams) },
      ...(errorsBeside ? [{ text: one.lastError === null ? "" : fit(errorText(one.lastError), widestError) }] : []),
    ];
  });
  return renderTable(shape, rows, width, paint).map((line, at) => {
    const error = at === 0 || errorsBeside ? undefined : errorOf(workloads[at - 1]);
    // What is the same for one after the other, as it is when the CA is away, is told once.
    if (error === undefined || error === errorOf(workloads[at - 2])) return line;
    return `${line}\n    ${paint("quiet", fit(error, width - 2))}`;
  });
}

/**
 * Leaves out the end of a table for which there is no room, and says so. Workloads in trouble are left out only where lines
 * would otherwise leave the window at its top, and nobody could scroll back to them.
 */
function cut(table: readonly string[], workloads: readonly JudgedWorkload[], { lines, scrolls }: Room): string[] {
  const all = table.flatMap((row) => row.split("\n"));
  if (all.length <= lines) return all;
  const least = scrolls ? Math.max(workloads.filter(needsAttention).length, fewestRows) : 0;
  const shown: string[] = [];
  let count = 0;
  for (const [at, row] of table.entries()) {
    const more = row.split("\n");
    // One line is for what is left out.
    if (at > least && shown.length + more.length > lines - 1) break;
    shown.push(...more);
    count = at;
  }
  const left = workloads.slice(count);
  if (left.length === 0) return shown;
  const troubled = left.filter(needsAttention).length;
  const which = troubled === 0 ? " that are well" : `, ${troubled} of them in trouble`;
  const how = scrolls ? "--all shows them" : "--errors and --namespace choose";
  return [...shown, `and ${left.length} more${which}; ${how}`];
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

function bar(share: number): string {
  const full = share > 0 ? Math.max(1, Math.round(share * barWidth)) : 0;
  return "█".repeat(full) + "░".repeat(barWidth - full);
}

function errorOf(workload: JudgedWorkload | undefined): string | undefined {
  const error = workload?.lastError ?? null;
  return error === null ? undefined : errorText(error);
}

function errorText({ code, message }: { readonly code: string; readonly message: string }): string {
  return clean(`${code}: ${message}`);
}

/** Facts side by side, on as many lines as the window's width asks for. */
function flow(facts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const fact of facts.map((one) => fit(clean(one), width))) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 3 + widthOf(fact) <= width) lines[lines.length - 1] = `${last} · ${fact}`;
    else lines.push(fact);
  }
  return lines;
}
