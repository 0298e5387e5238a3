import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { parseDuration } from "@signet/shared/duration";
import { asSignetError } from "@signet/shared/errors";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { injectError } from "./documents.ts";
import { defaults, type InjectFlags } from "./flags.ts";

/** What pods are injected with: validated, nothing left to check. */
export interface InjectOptions {
  readonly identity: "csi" | "token";
  readonly sidecar: "native" | "container";
  readonly proxyImage: string;
  readonly trustDomain: TrustDomain;
  /** How service accounts are named in the trust domain. */
  readonly accountPath: AccountPath;
  readonly clusterDomain: string;
  /** Of objects that name none. */
  readonly namespace: string | undefined;
  /** For workloads that have no annotation of their own. */
  readonly upstreams: string | undefined;
  readonly audience: string;
  /** Seconds after which an HTTP connection to an upstream takes no further request. */
  readonly connectionAgeSeconds: number;
  readonly networkPolicy: boolean;
}

const domain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const namespace = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const text = /^[\x21-\x7e]+$/;

/** @throws SignetError `config-invalid` with every fault, each naming its flag and what would be right */
export function parseInjectOptions(flags: Omit<InjectFlags, "file">): InjectOptions {
  const faults: string[] = [];
  const matching = (flag: string, value: string, pattern: RegExp, expected: string): string => {
    if (!pattern.test(value)) faults.push(`${flag}: "${value}" is not ${expected}`);
    return value;
  };
  const oneOf = <const Words extends readonly string[]>(flag: string, value: string, words: Words): Words[number] => {
    const found = words.find((word) => word === value);
    if (found === undefined) faults.push(`${flag}: "${value}" is not ${words.join(" or ")}`);
    return found ?? value;
  };
  const options = {
    identity: oneOf("--identity", flags.identity ?? defaults.identity, ["csi", "token"]),
    sidecar: oneOf("--sidecar", flags.sidecar ?? defaults.sidecar, ["native", "container"]),
    proxyImage: matching("--proxy-image", flags.proxyImage ?? defaults.proxyImage, text, "the name of an image"),
    trustDomain: parsed("--trust-domain", flags.trustDomain ?? defaults.trustDomain, TrustDomain.parse, faults),
    accountPath: parsed("--account-path", flags.accountPath ?? defaultAccountPath, AccountPath.parse, faults),
    clusterDomain: matching(
      ...(["--cluster-domain", flags.clusterDomain ?? defaults.clusterDomain, domain] as const),
      "a domain such as cluster.local",
    ),
    namespace:
      flags.namespace === undefined
        ? undefined
        : matching("--namespace", flags.namespace, namespace, "the name of a namespace"),
    upstreams: flags.upstreams,
    audience: matching("--audience", flags.audience ?? defaults.audience, text, "an audience such as signet-ca"),
    connectionAgeSeconds: readConnectionAge(flags.connectionAge ?? defaults.connectionAge, faults),
    networkPolicy: flags.networkPolicy ?? true,
  };
  const { accountPath, identity, sidecar, trustDomain } = options;
  if (faults.length > 0 || trustDomain === undefined || accountPath === undefined) throw injectError(faults);
  // A fault was told for any other word.
  return {
    ...options,
    trustDomain,
    accountPath,
    identity: identity === "token" ? "token" : "csi",
    sidecar: sidecar === "container" ? "container" : "native",
  };
}

function readConnectionAge(text: string, faults: string[]): number {
  try {
    const seconds = parseDuration(text);
    if (seconds === 0) faults.push("--connection-age: a connection must live longer than 0s");
    return seconds;
  } catch (error) {
    faults.push(`--connection-age: ${asSignetError(error, "config-invalid").message}`);
    return 0;
  }
}

function parsed<Value>(
  flag: string,
  text: string,
  parse: (text: string) => Value,
  faults: string[],
): Value | undefined {
  try {
    return parse(text);
  } catch (error) {
    faults.push(`${flag}: ${asSignetError(error, "config-invalid").message}`);
    return undefined;
  }
}
