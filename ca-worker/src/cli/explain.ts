import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseDuration } from "@signet/shared/duration";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { Command } from "commander";
import { TokenVerifier } from "../authenticate/service-account.ts";
import { composeIssuers } from "../compose/issuers.ts";
import { composePolicy } from "../compose/policy.ts";
import type { ClusterIssuer, Platform } from "../compose.ts";
import { podCluster } from "../entry/node/kubernetes/access.ts";
import { createLogger } from "../entry/node/log.ts";
import { findClusterIssuer, nodePlatform } from "../entry/node/platform.ts";
import { type ConfigFile, readConfig } from "./config-file.ts";
import { ExitCode } from "./exit-codes.ts";
import { explanationJson, renderExplanation } from "./explain/render.ts";
import { type ExplainDeps, explain } from "./explain/walk.ts";

interface Options {
  readonly config?: string;
  readonly token: string;
  readonly nodeToken?: string;
  readonly csr: string;
  readonly ttl?: string;
  readonly at?: string;
  readonly denyList?: readonly string[];
  readonly clusterIssuer?: string;
  readonly clusterKeys?: string;
  readonly json?: true;
}

export function explainCommand(): Command {
  return new Command("explain")
    .description("dry run: say what the CA would do with a request, and which step and rule decides")
    .requiredOption("--token <file>", "the workload's token")
    .option("--node-token <file>", "the agent's token; without it, node binding is not judged")
    .requiredOption("--csr <file>", "the CSR, PEM")
    .option("--ttl <duration>", "the life that is asked for, such as 30m")
    .option("--config <file>", "the CA's configuration; without it, the document in SIGNET_CONFIG")
    .option("--at <time>", "judge as of this time (2026-11-25T12:00:00Z), for tokens that have expired since")
    .option("--deny-list <file...>", "go by these in place of the deny lists of the configuration")
    .option("--cluster-issuer <name>", 'outside of the cluster: what the issuer "in-cluster" is called in tokens')
    .option("--cluster-keys <file>", "and its JWK Set")
    .option("--json", "for programs")
    .addHelpText(
      "after",
      `
The request goes through the steps of the CA itself, up to the signature: both tokens, deny lists and rules, the CSR.
Nothing is signed, and neither token nor CSR is shown. Keys of issuers and deny lists are read from where the
configuration says; what is in files or in the configuration itself needs no network.

Exit codes: 0 the CA would sign; 65 it would refuse; 69 it cannot know now, since keys or a deny list cannot be read; 2
wrong usage or configuration.

Examples:
  signet-ca explain --config ca.jsonc --token pod-token --node-token agent-token --csr pod.csr
  signet-ca explain --config ca.jsonc --token pod-token --csr pod.csr --deny-list new-deny-list.json
  kubectl create token sleep -n foo --audience signet-ca --bound-object-kind Pod --bound-object-name sleep-1 > pod-token
  kubectl get --raw /openid/v1/jwks > jwks.json
  signet-ca explain --config ca.jsonc --token pod-token --csr pod.csr --cluster-keys jwks.json \\
    --cluster-issuer https://kubernetes.default.svc.cluster.local`,
    )
    .action(async (options: Options) => {
      const deps = await makeDeps(options);
      const explanation = await explain(
        {
          token: await readGiven("--token", options.token),
          nodeToken: options.nodeToken === undefined ? undefined : await readGiven("--node-token", options.nodeToken),
          csr: await readGiven("--csr", options.csr),
          ttlSeconds: options.ttl === undefined ? undefined : readFlag("--ttl", options.ttl, parseDuration),
        },
        deps,
      );
      process.stdout.write(options.json === true ? explanationJson(explanation) : renderExplanation(explanation));
      process.exitCode = {
        issued: ExitCode.done,
        refused: ExitCode.data,
        undecided: ExitCode.unavailable,
      }[explanation.verdict];
    });
}

async function makeDeps(options: Options): Promise<ExplainDeps> {
  const file = await readConfig(options.config);
  const platform = await makePlatform(file, options);
  const denyLists = options.denyList?.map((path) => `file:${resolve(path)}`) ?? file.config.policy.denyLists;
  const config = { ...file.config, policy: { ...file.config.policy, denyLists } };
  const faults: string[] = [];
  const issuers = composeIssuers(config, platform, faults);
  const policy = composePolicy(config, platform, faults);
  if (faults.length > 0) throw configError(file.source, faults);
  return {
    verifier: new TokenVerifier(issuers, platform.clock, platform.crypto),
    policy,
    crypto: platform.crypto,
  };
}

async function makePlatform({ config, folder }: ConfigFile, options: Options): Promise<Platform> {
  const logger = createLogger("silent");
  const given = await givenClusterIssuer(options);
  const clusterIssuer = given ?? (await findClusterIssuer(config, podCluster, logger));
  const platform = nodePlatform({ folder, logger, cluster: podCluster, clusterIssuer });
  const at = options.at === undefined ? undefined : readFlag("--at", options.at, parseTime);
  return {
    ...platform,
    ...(at !== undefined && { clock: () => at }),
    open: (location) => openLate(platform, location),
  };
}

/** What cannot be opened here is a fault only where a step needs it. */
function openLate(platform: Platform, location: string): ReturnType<Platform["open"]> {
  try {
    return platform.open(location);
  } catch (error) {
    const { message } = asSignetError(error, "source-unavailable");
    return {
      read() {
        throw new SignetError("source-unavailable", message, { cause: error });
      },
    };
  }
}

async function givenClusterIssuer({ clusterIssuer, clusterKeys }: Options): Promise<ClusterIssuer | undefined> {
  if (clusterIssuer === undefined && clusterKeys === undefined) return undefined;
  if (clusterIssuer === undefined || clusterKeys === undefined) {
    throw new SignetError("config-invalid", "--cluster-issuer and --cluster-keys go together");
  }
  const text = await readGiven("--cluster-keys", clusterKeys);
  return { name: clusterIssuer, load: async () => JSON.parse(text) };
}

/** A file without the line break at its end. What it holds is in no message. */
async function readGiven(flag: string, path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SignetError("config-invalid", `${flag} ${path}: it cannot be read (${code})`, { cause });
  }
}

function readFlag<Value>(flag: string, text: string, read: (text: string) => Value): Value {
  try {
    return read(text);
  } catch (error) {
    throw new SignetError("config-invalid", `${flag}: ${asSignetError(error, "config-invalid").message}`);
  }
}

/** Seconds since the epoch. */
function parseTime(text: string): number {
  const milliseconds = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(milliseconds)) return milliseconds / 1000;
  throw new SignetError("config-invalid", `"${text}" is no time; write it as 2026-11-25T12:00:00Z`);
}
