import { stat } from "node:fs/promises";
import { parseCertificate } from "@signet/shared/certificate";
import type { Fetch, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { decodePem } from "@signet/shared/pem";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { parseStrictJson } from "@signet/shared/strict-json";
import { discoverJwkSet, fetchJwkSet } from "../../authenticate/fetch-keys.ts";
import { JwkSet } from "../../authenticate/jwk-set.ts";
import { parseAuthorityDocument } from "../../authority/document.ts";
import { loadActiveAuthority } from "../../authority/load.ts";
import { parseDenyList } from "../../authorize/deny-list.ts";
import { denyListAtUrl } from "../../authorize/deny-list-url.ts";
import { nodeCrypto } from "../../entry/node/crypto.ts";
import { type ClusterOptions, clusterAccess } from "../../entry/node/kubernetes/access.ts";
import { ApiServer } from "../../entry/node/kubernetes/api-server.ts";
import { discoverClusterIssuer } from "../../entry/node/kubernetes/cluster-issuer.ts";
import { SecretStore } from "../../entry/node/kubernetes/secret-store.ts";
import { pathAt } from "../../entry/node/text-sources.ts";
import type { Finding } from "./finding.ts";
import type { Place } from "./places.ts";
import type { CheckedPlatform } from "./platforms.ts";

export type Probed = { readonly level: Finding["level"]; readonly message: string };

export interface ProbeOptions {
  readonly checked: CheckedPlatform;
  readonly folder: string;
  readonly online: boolean;
  /** Where the API server is; undefined outside of a pod. */
  readonly cluster: ClusterOptions | undefined;
  readonly production: boolean;
  /** Seconds since the epoch. */
  readonly now: number;
  readonly fetch: Fetch;
}

/** Looks at a place as the CA would: reads it and holds what is there against its form. Changes nothing. */
export async function probe(place: Place, options: ProbeOptions): Promise<readonly Probed[]> {
  const { checked, online, cluster, fetch } = options;
  if (place.kind === "cluster-issuer") {
    if (cluster === undefined) return [note('"in-cluster" is looked at in a pod only')];
    return failing("error", () => askClusterIssuer(cluster, checked.platform.logger));
  }
  if ("url" in place || place.kind === "discovery") {
    // An issuer that is down keeps nobody from starting.
    return online ? failing("warning", () => askFor(place, fetch)) : [note("it is asked for with --online only")];
  }
  const source = checked.look(place.location);
  if (typeof source === "string") return [note(source)];
  try {
    if (source instanceof SecretStore && (await source.find()) === undefined) {
      return [{ level: "warning", message: "there is no such Secret yet; serve makes it, and an authority in it" }];
    }
    if (place.kind === "authority") return await probeAuthority(place, await source.read(), options);
    holdAgainst(place.kind, await source.read());
    return [];
  } catch (error) {
    if (place.kind === "authority" && (await willBeMade(place.location, options))) {
      return [{ level: "warning", message: "the file is not there yet; serve makes a development authority in it" }];
    }
    return [{ level: "error", message: asSignetError(error, "source-unavailable").message }];
  }
}

const note = (message: string): Probed => ({ level: "note", message: `not looked at: ${message}` });

async function failing(level: "error" | "warning", task: () => Promise<unknown>): Promise<readonly Probed[]> {
  try {
    await task();
    return [];
  } catch (error) {
    return [{ level, message: asSignetError(error, "issuer-unavailable").message }];
  }
}

async function askClusterIssuer(cluster: ClusterOptions, logger: Logger): Promise<unknown> {
  const api = new ApiServer(clusterAccess(cluster, "in-cluster"), "issuer-unavailable");
  const issuer = await discoverClusterIssuer(api, logger, cluster.patienceSeconds);
  return JwkSet.parse(await issuer.load());
}

type Asked = Extract<Place, { kind: "keys-url" | "deny-list-url" | "discovery" }>;

async function askFor(place: Asked, fetch: Fetch): Promise<unknown> {
  if (place.kind === "discovery") return JwkSet.parse((await discoverJwkSet(fetch, place.issuer)).document);
  if (place.kind === "keys-url") return JwkSet.parse((await fetchJwkSet(fetch, place.url)).document);
  return parseDenyList(await denyListAtUrl(fetch, place.url).read());
}

function holdAgainst(kind: "keys" | "deny-list" | "certificates" | "secret", text: string): void {
  if (kind === "keys") JwkSet.parse(parseStrictJson(text));
  else if (kind === "deny-list") parseDenyList(text);
  else if (kind === "certificates") for (const { der } of decodePem(text)) parseCertificate(der);
  else if (text.trim() === "") throw new SignetError("source-unavailable", "it is empty");
}

const soonSeconds = 30 * 86_400;

async function probeAuthority(
  { location, trustDomain }: Extract<Place, { kind: "authority" }>,
  text: string,
  { folder, now }: ProbeOptions,
): Promise<readonly Probed[]> {
  const found: Probed[] = [];
  const document = parseAuthorityDocument(text);
  const { id, notAfter } = await loadActiveAuthority(document, TrustDomain.parse(trustDomain), nodeCrypto);
  const end = new Date(notAfter * 1000).toISOString().slice(0, 10);
  if (notAfter <= now)
    found.push({ level: "error", message: `the chain of the active authority ${id} ended on ${end}` });
  else if (notAfter <= now + soonSeconds) {
    found.push({ level: "warning", message: `the chain of the active authority ${id} ends on ${end}` });
  }
  if (location.startsWith("file:") && document.authorities.some(({ key }) => key.kind === "plain")) {
    const { mode } = await stat(pathAt(folder, location));
    if ((mode & 0o077) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(4, "0");
      found.push({ level: "warning", message: `the file has mode ${octal} and holds a signing key; chmod 600 it` });
    }
  }
  return found;
}

/** As `serve` does on its first start. */
async function willBeMade(location: string, { folder, production }: ProbeOptions): Promise<boolean> {
  if (production || !location.startsWith("file:")) return false;
  return stat(pathAt(folder, location)).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
}
