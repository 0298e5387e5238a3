import type { Platform } from "../../compose.ts";
import { awsSecretOfStore, secretOfStore } from "../../config/location.ts";
import { openRateLimiter } from "../../entry/cloudflare/rate-limiter.ts";
import { openSink } from "../../entry/cloudflare/sinks.ts";
import { openText as openWorkerText } from "../../entry/cloudflare/text-sources.ts";
import { type ClusterOptions, podCluster } from "../../entry/node/kubernetes/access.ts";
import { createLogger } from "../../entry/node/log.ts";
import { nodePlatform } from "../../entry/node/platform.ts";
import { openText } from "../../entry/node/text-sources.ts";
import type { TextSource } from "../../text-source.ts";

export const platformNames = ["node", "workers", "lambda"] as const;
export type PlatformName = (typeof platformNames)[number];

/** A platform as far as a configuration can be held against it from here. */
export interface CheckedPlatform {
  /** For `compose`, which finds what the platform has not. */
  readonly platform: Platform;
  /** A text as the platform will read it, or why it cannot be looked at from here. */
  look(location: string): TextSource | string;
}

export interface LookOptions {
  readonly name: PlatformName;
  readonly folder: string;
  /** Whether places may be asked over the network. */
  readonly online: boolean;
  /** Where the API server is; undefined outside of a pod. */
  readonly cluster: ClusterOptions | undefined;
}

const logger = createLogger("silent");
const nothing: TextSource = { read: () => "" };

export function checkedPlatform({ name, folder, online, cluster }: LookOptions): CheckedPlatform {
  const clusterIssuer = { name: "in-cluster", load: async () => ({}) };
  const node = nodePlatform({ folder, logger, cluster: cluster ?? podCluster, clusterIssuer });
  const asked = (source: TextSource | undefined) => {
    if (!online) return "it is asked for with --online only";
    return source ?? "it cannot be asked for from here";
  };
  if (name === "node") {
    return {
      // A Secret can be composed with in a pod only.
      platform: {
        ...node,
        open: (location) => (secretOfStore(location) === undefined ? node.open(location) : nothing),
      },
      look(location) {
        if (secretOfStore(location) !== undefined && cluster === undefined) return "Secrets can be read in a pod only";
        const source = node.open(location);
        return awsSecretOfStore(location) === undefined ? (source ?? "it is of another platform") : asked(source);
      },
    };
  }
  const { fetchTrusting: _, ...withoutPod } = { ...node, clusterIssuer: undefined };
  if (name === "lambda") {
    const open: Platform["open"] = (location) => openText(location, { ...node, folder, environment: process.env });
    return {
      platform: { ...node, clusterIssuer: undefined, open },
      look: (location) => {
        if (location.startsWith("env:")) return "the variables of the function are not known here";
        return location.startsWith("file:") ? (open(location) ?? nothing) : asked(open(location));
      },
    };
  }
  const env = anyBinding();
  return {
    platform: {
      ...withoutPod,
      open: (location) => openWorkerText(env, location),
      openSink: (sink) => openSink(env, sink),
      openRateLimiter: (binding, rate) => openRateLimiter(env, binding, rate, logger),
    },
    look: () => "secrets and bindings of the Worker are not known here",
  };
}

/** The environment of a Worker that has whatever it is asked for: which bindings it has, `wrangler.jsonc` says. */
function anyBinding(): Readonly<Record<string, unknown>> {
  const binding = new Proxy({}, { has: () => true });
  return new Proxy({}, { get: () => binding, has: () => true });
}
