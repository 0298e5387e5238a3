import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { AccountPath } from "@signet/shared/account-path";
import { parseDuration } from "@signet/shared/duration";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { isLoopbackHost } from "@signet/shared/url";
import { readPinnedCa } from "./ca/pinned-ca.ts";
import { proxyFor } from "./ca/proxy.ts";
import { type LogLevel, logLevels } from "./log-levels.ts";
import { type ResourceNames, wildcard } from "./sds/names.ts";
import { type Validator, validators } from "./sds/validator.ts";
import { type SettingKey, settings } from "./settings.ts";

/** What the agent runs with: validated, nothing left to check. */
export interface Config {
  /** In the order of preference. */
  readonly caUrls: readonly URL[];
  /** Proxies by the URL of {@link caUrls} that is asked through them. */
  readonly proxies: ReadonlyMap<URL, URL>;
  /** File. */
  readonly caCert: string | undefined;
  readonly trustDomain: TrustDomain;
  /** How service accounts are named in the trust domain. */
  readonly accountPath: AccountPath;
  /** Absolute; undefined where there are only sockets of single pods. */
  readonly socket: string | undefined;
  readonly socketMode: number;
  /** File. */
  readonly nodeToken: string | undefined;
  readonly admin: Address | "off";
  readonly telemetry: Address | "off";
  /** Undefined where the agent is no CSI driver. */
  readonly csi: CsiConfig | undefined;
  readonly logLevel: LogLevel;
  readonly names: ResourceNames;
  /** How bundles are given to Envoys that do not ask for a form. */
  readonly validator: Validator;
  readonly ttlSeconds: number | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What the agent needs to know to be a CSI driver. Paths are absolute. */
export interface CsiConfig {
  readonly socket: string;
  /** The socket as the kubelet sees it. */
  readonly endpoint: string;
  readonly kubeletDir: string;
  readonly nodeName: string;
}

/** A value with where it came from, such as `--ca-url` or `SIGNET_CA_URL`. */
export interface Setting {
  readonly value: string;
  readonly source: string;
}

export type Settings = Partial<Record<SettingKey, Setting>>;

/**
 * Turns settings into a configuration.
 * @param faults what went wrong on the way here; told together with what is found here
 * @param env where the variables that name proxies are
 * @throws SignetError `config-invalid` with every fault, each naming its key and what would be right
 */
export function parseConfig(
  given: Settings,
  faults: readonly string[] = [],
  env: Readonly<Record<string, string | undefined>> = {},
): Config {
  const found = [...faults];
  const take = <T>(key: SettingKey, read: (value: string) => T): T | undefined => {
    const { value, source } = given[key] ?? { value: settings[key].fallback, source: key };
    if (value === undefined) {
      if (settings[key].required === true)
        found.push(`${key}: missing; give ${settings[key].flag} ${settings[key].hint}`);
      return undefined;
    }
    try {
      return read(value);
    } catch (error) {
      found.push(`${key} (${source}): ${asSignetError(error, "config-invalid").message}`);
      return undefined;
    }
  };
  const config = {
    caUrls: take("caUrl", (text) =>
      readCaUrls(text, (fault) => found.push(`caUrl (${given.caUrl?.source}): ${fault}`)),
    ),
    caCert: take("caCert", readCaCert),
    trustDomain: take("trustDomain", readTrustDomain),
    accountPath: take("accountPath", AccountPath.parse),
    socket: take("socket", readSocket),
    socketMode: take("socketMode", readMode),
    nodeToken: take("nodeToken", (path) => resolve(nonEmpty(path))),
    admin: take("admin", parseAddress),
    telemetry: take("telemetry", parseAddress),
    csiSocket: take("csiSocket", readSocket),
    csiEndpoint: take("csiEndpoint", readAbsolute),
    kubeletDir: take("kubeletDir", readAbsolute),
    nodeName: take("nodeName", readNodeName),
    logLevel: take("logLevel", readLogLevel),
    svid: take("svidName", readName),
    bundle: take("bundleName", readName),
    allBundles: take("allBundlesName", readName),
    validator: take("validator", readValidator),
    ttlSeconds: take("ttl", readTtl),
  };
  const {
    accountPath,
    admin,
    allBundles,
    bundle,
    caUrls,
    csiSocket,
    logLevel,
    socket,
    socketMode,
    svid,
    telemetry,
    trustDomain,
    validator,
  } = config;
  const proxies = readProxies(caUrls ?? [], env, found);
  const csi = readCsi(config, given.nodeName !== undefined, found);
  if (socket === "off" && csiSocket === "off") {
    found.push("socket: off, and so is csiSocket; nobody could ask for anything, so give one of them");
  }
  if (svid !== undefined && (svid === bundle || svid === allBundles)) {
    found.push(`svidName: "${svid}" is also the name of a bundle; the names must differ`);
  }
  if (
    found.length > 0 ||
    caUrls === undefined ||
    trustDomain === undefined ||
    accountPath === undefined ||
    socket === undefined ||
    socketMode === undefined ||
    admin === undefined ||
    telemetry === undefined ||
    logLevel === undefined ||
    svid === undefined ||
    bundle === undefined ||
    allBundles === undefined ||
    validator === undefined
  ) {
    throw configError("this", found);
  }
  const { caCert, nodeToken, ttlSeconds } = config;
  const names = { svid, bundle, allBundles };
  return {
    ...{
      caUrls,
      proxies,
      caCert,
      trustDomain,
      accountPath,
      nodeToken,
      admin,
      telemetry,
      logLevel,
      names,
      ttlSeconds,
      socketMode,
      csi,
      validator,
    },
    socket: socket === "off" ? undefined : socket,
  };
}

interface CsiParts {
  readonly csiSocket: string | undefined;
  readonly csiEndpoint: string | undefined;
  readonly kubeletDir: string | undefined;
  readonly nodeName: string | undefined;
}

function readCsi(parts: CsiParts, nodeNameGiven: boolean, found: string[]): CsiConfig | undefined {
  const { csiSocket, csiEndpoint, kubeletDir, nodeName } = parts;
  if (csiSocket === undefined || csiSocket === "off") return undefined;
  if (!nodeNameGiven) {
    found.push(`nodeName: missing; csiSocket needs it, give ${settings.nodeName.flag} ${settings.nodeName.hint}`);
  }
  if (nodeName === undefined || kubeletDir === undefined) return undefined;
  return { socket: csiSocket, endpoint: csiEndpoint ?? csiSocket, kubeletDir, nodeName };
}

/** @param tell takes the fault of each URL that has one */
function readCaUrls(text: string, tell: (fault: string) => void): readonly URL[] {
  const urls = new Map<string, URL>();
  for (const part of text.split(",")) {
    try {
      const url = readCaUrl(part.trim());
      if (urls.has(url.href)) throw fault(`${url.href} stands twice`);
      urls.set(url.href, url);
    } catch (error) {
      tell(asSignetError(error, "config-invalid").message);
    }
  }
  return [...urls.values()];
}

function readProxies(
  caUrls: readonly URL[],
  env: Readonly<Record<string, string | undefined>>,
  found: string[],
): ReadonlyMap<URL, URL> {
  const proxies = new Map<URL, URL>();
  for (const url of caUrls) {
    try {
      const proxy = proxyFor(url, env);
      if (proxy !== undefined) proxies.set(url, proxy);
    } catch (error) {
      const { message } = asSignetError(error, "config-invalid");
      if (!found.includes(message)) found.push(message);
    }
  }
  return proxies;
}

function readCaUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // What may hold a password is not quoted.
  const shown = text.includes("@") ? "it" : `"${text}"`;
  if (url === undefined) throw fault(`${shown} is no URL; write it as https://ca.example.com`);
  if (url.username !== "" || url.password !== "") throw fault("a URL with a user or password in it is not taken");
  if (url.search !== "" || url.hash !== "") throw fault("a URL with ? or # is not taken");
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname))) return url;
  throw fault(
    `${url.protocol}//${url.host} is not safe to send tokens to; use https (http only to 127.0.0.1, [::1] or localhost)`,
  );
}

function readCaCert(path: string): string {
  const file = resolve(nonEmpty(path));
  try {
    readPinnedCa(readText(file));
  } catch (error) {
    throw fault(`${file}: ${asSignetError(error, "config-invalid").message}`);
  }
  return file;
}

function readTrustDomain(text: string): TrustDomain {
  if (text.startsWith("spiffe://")) throw fault(`write it without spiffe://, as ${text.slice(9)}`);
  return TrustDomain.parse(text);
}

function readSocket(text: string): string {
  return text === "off" ? text : resolve(nonEmpty(text));
}

function readAbsolute(text: string): string {
  if (!isAbsolute(text)) throw fault(`"${text}" is no absolute path; it must start with /`);
  return resolve(text);
}

function readNodeName(text: string): string {
  if (!/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) throw fault(`"${text}" is no name of a Kubernetes node`);
  return text;
}

function readMode(text: string): number {
  const mode = /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined;
  if (mode === undefined) throw fault(`"${text}" is no mode; write it in octal, as 0666`);
  if ((mode & 0o600) !== 0o600) throw fault(`"${text}" keeps the agent itself out; the owner needs at least 0600`);
  return mode;
}

/** @throws SignetError `config-invalid` */
export function parseAddress(text: string): Address | "off" {
  if (text === "off") return "off";
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535)
    throw fault(`"${text}" is no address; write it as 127.0.0.1:15021, or "off"`);
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

function readLogLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text);
  if (level === undefined) throw fault(`"${text}" is none of ${logLevels.join(", ")}`);
  return level;
}

function readName(text: string): string {
  if (text === wildcard) throw fault(`"${text}" means everything to those who ask; choose another name`);
  return nonEmpty(text);
}

function readValidator(text: string): Validator {
  const validator = validators.find((known) => known === text);
  if (validator === undefined) throw fault(`"${text}" is none of ${validators.join(", ")}`);
  return validator;
}

function readTtl(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === 0) throw fault("a certificate must live longer than 0s");
  return seconds;
}

function nonEmpty(text: string): string {
  if (text.trim() === "") throw fault("it is empty; leave it out or give a value");
  return text;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw fault(`it cannot be read (${reason})`);
  }
}

function fault(message: string): SignetError {
  return new SignetError("config-invalid", message);
}
