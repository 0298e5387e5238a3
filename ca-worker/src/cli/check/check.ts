import type { Fetch } from "@signet/shared/deps";
import { asSignetError } from "@signet/shared/errors";
import { compose } from "../../compose.ts";
import { type Config, parseConfig } from "../../config.ts";
import type { ClusterOptions } from "../../entry/node/kubernetes/access.ts";
import { readTlsFiles, type TlsFiles } from "../../entry/node/tls-files.ts";
import type { ConfigText } from "../config-file.ts";
import { ExitCode } from "../exit-codes.ts";
import { type Finding, findingOf } from "./finding.ts";
import { placesOf } from "./places.ts";
import { checkedPlatform, type PlatformName } from "./platforms.ts";
import { probe } from "./probe.ts";

export interface CheckOptions {
  readonly platform: PlatformName;
  readonly online: boolean;
  /** Where the API server is; undefined outside of a pod. */
  readonly cluster: ClusterOptions | undefined;
  readonly production: boolean;
  readonly now: number;
  readonly fetch: Fetch;
  /** The files that `serve` is to be given. */
  readonly tls?: TlsFiles | undefined;
}

export interface Checked {
  readonly findings: readonly Finding[];
  /** Undefined where it is none. */
  readonly config: Config | undefined;
  readonly exitCode: ExitCode;
}

/** Everything that can be known of a configuration before it serves. */
export async function check({ text, source, folder }: ConfigText, options: CheckOptions): Promise<Checked> {
  const { platform: name, online, cluster } = options;
  const checked = checkedPlatform({ name, folder, online, cluster });
  let config: Config;
  try {
    config = parseConfig(text, source);
  } catch (error) {
    const findings = faultsOf(error).map((fault) => findingOf(text, "error", fault));
    findings.sort(byPlace);
    return { findings, config: undefined, exitCode: ExitCode.usage };
  }
  const impossible = composing(() => compose(config, source, checked.platform));
  const findings = [
    ...impossible.map((fault) => findingOf(text, "error", fault)),
    ...weaknesses(config).map((fault) => findingOf(text, "warning", fault)),
  ];
  const places = placesOf(config);
  const probed = await Promise.all(places.map((place) => probe(place, { ...options, checked, folder })));
  for (const [at, found] of probed.entries()) {
    const path = `${places[at]?.path}: `;
    if (impossible.some((fault) => fault.startsWith(path))) continue;
    for (const { level, message } of found) findings.push(findingOf(text, level, path + message));
  }
  findings.push(...(await checkTls(options)));
  findings.sort(byPlace);
  if (impossible.length > 0) return { findings, config, exitCode: ExitCode.usage };
  const wrong = findings.some(({ level }) => level === "error");
  return { findings, config, exitCode: wrong ? ExitCode.unavailable : ExitCode.done };
}

const byPlace = (a: Finding, b: Finding) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);

function composing(task: () => unknown): readonly string[] {
  try {
    task();
    return [];
  } catch (error) {
    return faultsOf(error);
  }
}

function faultsOf(error: unknown): readonly string[] {
  const { faults, message } = asSignetError(error, "internal");
  return faults ?? [message];
}

/** What is allowed, and seldom meant. */
function weaknesses({ nodeBinding, issuers }: Config): string[] {
  const off = "any holder of a pod's token gets its certificate, from anywhere";
  return [
    ...(nodeBinding === "off" && issuers.some((issuer) => issuer.nodeBinding === undefined)
      ? [`nodeBinding: it is off: ${off}`]
      : []),
    ...issuers.flatMap((issuer, at) =>
      issuer.nodeBinding === "off" ? [`issuers.${at}.nodeBinding: it is off: ${off}`] : [],
    ),
  ];
}

const soonSeconds = 7 * 86_400;

/** The pair as `serve` would read it: `inspect` looks at no private key, and could not say whether it goes with it. */
async function checkTls({ tls, now }: CheckOptions): Promise<Finding[]> {
  if (tls === undefined) return [];
  const finding = (level: Finding["level"], fault: string): Finding => ({
    level,
    fault,
    line: undefined,
    column: undefined,
  });
  try {
    const { notAfter } = await readTlsFiles(tls);
    const end = new Date(notAfter * 1000).toISOString();
    if (notAfter <= now) return [finding("error", `--tls-cert: ${tls.certificate} ended at ${end}`)];
    return notAfter <= now + soonSeconds ? [finding("warning", `--tls-cert: ${tls.certificate} ends at ${end}`)] : [];
  } catch (error) {
    return [finding("error", asSignetError(error, "config-invalid").message)];
  }
}
