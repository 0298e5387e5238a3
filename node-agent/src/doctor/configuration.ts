import { asSignetError } from "@signet/shared/errors";
import { type Config, parseConfig } from "../config.ts";
import { settingKeys } from "../settings.ts";
import { gatherSettings } from "../sources.ts";
import { fail, ok } from "../terminal/finding.ts";
import type { DoctorFlags } from "./flags.ts";
import type { Section } from "./section.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the settings exactly as `run` does. No configuration where there is a fault in it. */
export function examineConfiguration(given: DoctorFlags, env: Environment): { section: Section; config?: Config } {
  const title = "configuration";
  const gathered = gatherSettings({ flags: given.flags, env, file: given.configFile });
  try {
    const config = parseConfig(gathered.given, [...given.faults, ...gathered.faults], env);
    const sources = settingKeys.flatMap((key) => {
      const source = gathered.given[key]?.source;
      return source === undefined ? [] : [`${key} (${source})`];
    });
    return { config, section: { title, findings: [ok(`well formed: ${sources.join(", ")}`)] } };
  } catch (error) {
    const [, ...faults] = asSignetError(error, "config-invalid").message.split("\n  - ");
    const hint =
      "nothing else was looked at: the agent would not start; every setting is told by signet-agent run --help";
    return {
      section: { title, findings: faults.map((fault, at) => fail(fault, ...(at === faults.length - 1 ? [hint] : []))) },
    };
  }
}
