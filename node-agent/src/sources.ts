import { readFileSync } from "node:fs";
import { asSignetError } from "@signet/shared/errors";
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import type { Setting, Settings } from "./config.ts";
import { type SettingKey, settingKeys, settings } from "./settings.ts";

export interface Sources {
  /** Values of flags, by the key that they set. */
  readonly flags: Partial<Record<SettingKey, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the configuration file. */
  readonly file: string | undefined;
}

/** Gathers settings; a flag goes before a variable, a variable before the file. Faults are lines for people. */
export function gatherSettings({ flags, env, file }: Sources): { given: Settings; faults: string[] } {
  const faults: string[] = [];
  const given: Record<string, Setting> = {
    ...(file === undefined ? {} : fromFile(file, faults)),
    ...fromEnv(env, faults),
  };
  for (const key of settingKeys) {
    const value = flags[key];
    if (value !== undefined) given[key] = { value, source: settings[key].flag };
  }
  return { given: given as Settings, faults };
}

// Kubernetes puts variables into every pod for each Service of the namespace; one called "signet-ca" makes
// SIGNET_CA_SERVICE_HOST, SIGNET_CA_PORT and more.
const serviceLink =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

function fromEnv(env: Sources["env"], faults: string[]): Record<string, Setting> {
  const given: Record<string, Setting> = {};
  const keyOf = new Map(settingKeys.map((key) => [settings[key].env, key]));
  for (const [name, value] of Object.entries(env)) {
    // SIGNET_CONFIG is the CA's whole configuration.
    if (!name.startsWith("SIGNET_") || name === "SIGNET_CONFIG" || value === undefined) continue;
    const key = keyOf.get(name);
    if (key !== undefined) given[key] = { value, source: name };
    else if (!serviceLink.test(name))
      faults.push(`${name}: unknown variable; known are ${[...keyOf.keys()].join(", ")}`);
  }
  return given;
}

function fromFile(file: string, faults: string[]): Record<string, Setting> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    faults.push(`--config: ${file} cannot be read: ${asSignetError(error, "config-invalid").message}`);
    return {};
  }
  const errors: ParseError[] = [];
  const document: unknown = parse(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error !== undefined) {
    const line = text.slice(0, error.offset).split("\n").length;
    faults.push(`${file}: line ${line} is not JSON (${printParseErrorCode(error.error)})`);
    return {};
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    faults.push(`${file}: an object is expected, { "caUrl": "https://...", ... }`);
    return {};
  }
  const given: Record<string, Setting> = {};
  for (const [key, value] of Object.entries(document)) {
    if (!(settingKeys as readonly string[]).includes(key)) {
      faults.push(`${key} (${file}): unknown key; known are ${settingKeys.join(", ")}`);
    } else if (
      key === "caUrl" &&
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((one) => typeof one === "string")
    ) {
      given[key] = { value: value.join(","), source: file };
    } else if (typeof value !== "string") {
      faults.push(`${key} (${file}): a string is expected, such as "${settings[key as SettingKey].fallback ?? "..."}"`);
    } else given[key] = { value, source: file };
  }
  return given;
}
