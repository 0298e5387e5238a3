import { clean, fit, jsonLine } from "@signet/shared/terminal/text";
import { type Finding, renderFinding, toneOf } from "../terminal/finding.ts";
import type { CommandIo } from "../terminal/io.ts";
import { examineAgent } from "./agent.ts";
import { examineCa } from "./ca.ts";
import { examineConfiguration } from "./configuration.ts";
import { examineCsi } from "./csi.ts";
import type { DoctorFlags } from "./flags.ts";
import type { Patient, Section } from "./section.ts";
import { examineSocket } from "./socket.ts";
import { examineSystem } from "./system.ts";
import { compareNodes, type ExaminedToken, examineToken } from "./token.ts";

const levels = ["ok", "warn", "fail"] as const;

/**
 * Runs `signet-agent doctor`.
 * @returns the exit code: 0, 1 with warnings, 2 with faults
 */
export async function runDoctor(flags: DoctorFlags, io: CommandIo): Promise<number> {
  const sections: Section[] = [];
  for await (const section of examine(flags, io)) {
    sections.push(section);
    // At once: what comes next may have to wait for a CA that does not answer.
    if (!flags.json) io.out.write(renderSection(section, io));
  }
  const findings = sections.flatMap((section) => section.findings);
  const code = Math.max(...findings.map(({ level }) => levels.indexOf(level)));
  if (flags.json) {
    const document = {
      level: levels[code],
      sections: sections.map(({ findings: found, title }) => ({ title, findings: found })),
    };
    io.out.write(jsonLine(document));
  } else io.out.write(`${verdict(findings, io)}\n`);
  return code;
}

async function* examine(flags: DoctorFlags, { env, interrupted, now }: CommandIo): AsyncGenerator<Section> {
  const { config, section } = examineConfiguration(flags, env);
  yield section;
  if (config === undefined) return;
  const patient: Patient = { config, now, interrupted };
  // Everything that waits for somebody else waits at the same time.
  const nodeToken = config.nodeToken === undefined ? undefined : examineToken(config.nodeToken, "--node-token", now());
  const cas = config.caUrls.map((url) => examineCa(url, patient, nodeToken?.token));
  const socket = examineSocket(patient);
  const agent = socket.then(({ isLive }) => examineAgent(patient, isLive));

  yield await socket;
  yield { title: "node token", findings: nodeToken?.findings ?? [noNodeToken] };
  if (flags.token !== undefined) yield podToken(flags.token, nodeToken, now());
  for (const one of cas) yield await one;
  const { status, ...asked } = await agent;
  yield asked;
  if (config.csi !== undefined) yield await examineCsi(config.csi, status);
  yield examineSystem(now());
}

const noNodeToken: Finding = {
  level: "warn",
  seen: "there is none: a CA with node binding, which is its default, refuses everything",
  mend: ["give --node-token FILE, the agent's own projected token with the CA's audience"],
};

function podToken(file: string, nodeToken: ExaminedToken | undefined, now: number): Section {
  const { claims, findings } = examineToken(file, "--token", now);
  return {
    title: "pod token",
    findings: [...findings, ...(claims === undefined ? [] : compareNodes(claims, nodeToken?.claims))],
  };
}

function renderSection({ findings, title }: Section, { out }: CommandIo): string {
  const lines = findings.flatMap((finding) => renderFinding(finding, out));
  return `${out.paint("strong", fit(clean(title), out.columns()))}\n${lines.join("\n")}\n\n`;
}

function verdict(findings: readonly Finding[], { out }: CommandIo): string {
  const count = (level: Finding["level"]) => findings.filter((one) => one.level === level).length;
  return levels
    .filter((level) => level === "ok" || count(level) > 0)
    .map((level) => out.paint(toneOf[level], `${count(level)} ${level}`))
    .join(", ");
}
