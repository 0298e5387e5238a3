import { readFileSync } from "node:fs";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import type { Section } from "./section.ts";

// As many connections as the agent takes at once, and as much again for pods' sockets, files and the CA.
const enoughFiles = 8_192;
const fewestFiles = 256;
// Before this there was no such program; a clock without a battery starts in 1970 or 2000.
const earliest = Date.UTC(2025, 0, 1) / 1_000;
const latest = Date.UTC(2100, 0, 1) / 1_000;

export function examineSystem(now: number, limits = readLimits()): Section {
  return { title: "system", findings: [examineClock(now), ...examineFiles(limits)] };
}

function examineClock(now: number): Finding {
  const shown = new Date(now * 1_000).toISOString();
  if (now >= earliest && now < latest) return ok(`clock ${shown}`);
  return fail(`the clock says ${shown}, which cannot be`, "set it: timedatectl set-ntp true, or chronyc makestep");
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}

function examineFiles(limits: string): Finding[] {
  const text = /^Max open files +(\d+|unlimited) /m.exec(limits)?.[1];
  if (text === undefined) return [];
  const count = text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
  const seen = `${text} file descriptors for a process started as this one was`;
  const mend = `allow ${enoughFiles}: LimitNOFILE= of the unit, ulimit -n, or the container runtime's default`;
  if (count >= enoughFiles) return [ok(seen)];
  return [(count < fewestFiles ? fail : warn)(`${seen}; each sidecar takes one, each pod's own socket two`, mend)];
}
