import { constants } from "node:os";
import { parseDuration } from "@signet/shared/duration";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";
import { Command, Option } from "commander";
import { createLogger } from "../entry/node/log.ts";
import { type Address, type Running, type ServeOptions, serve } from "../entry/node/serve.ts";
import { type ObjectName, parseObjectName } from "../object-name.ts";
import { configFlag, configFlagHelp, locating, readConfig } from "./config-file.ts";
import { pairOf, parseDnsNames } from "./tls-flags.ts";

interface Options {
  readonly config?: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsNames?: string;
  readonly admin?: string;
  readonly drain: string;
  readonly maxConnections: string;
  readonly publishRoots?: string;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

export function serveCommand(): Command {
  return new Command("serve")
    .description("run the CA as an HTTP server on Node")
    .option(configFlag, configFlagHelp)
    .option("--listen <host:port>", "address to listen on; port 0 takes any free one", "127.0.0.1:8443")
    .option("--tls-cert <file>", "PEM certificate chain for https; plain http only on a loopback address")
    .option("--tls-key <file>", "PEM key of that certificate")
    .option(
      "--tls-names <names>",
      "instead of both: https under these DNS names, by a certificate that the CA makes itself",
    )
    .option(
      "--admin <host:port>",
      "address for /metrics, /healthz and /readyz in plain http; without it they are with the API",
    )
    .option("--drain <duration>", "on SIGTERM, serve on for this long with /readyz at 503 before closing", "0s")
    .option("--max-connections <number>", "most connections at once; one takes about 80 KiB", "1000")
    .option("--publish-roots <namespace/name>", "in a pod: keep the roots in this ConfigMap, key roots.pem")
    .addOption(
      new Option(
        "--log-level <level>",
        "least severe line to log; audit events of certificates are info, of refusals warn",
      )
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addHelpText(
      "after",
      `
Where the configuration's authority.store is a file that is not there, a new authority is made in it, for development.
Set NODE_ENV=production to have that refused. Where it is a Secret (kubernetes:NAMESPACE/NAME) that is not there, the
authority is made in it, in production too, and the root's key goes into the Secret NAME-root-key.

The certificate of --tls-names lasts a day, is renewed at half of that, and its key is in memory only. Clients verify it with
the CA's roots, which --publish-roots gives them. The files of --tls-cert and --tls-key are looked at every five seconds, and a
new pair is taken without a restart; one that is half written or wrong is told in the log, and the old one goes on.

https speaks HTTP/2 and HTTP/1.1, TLS 1.2 and 1.3. SIGTERM and SIGINT stop the CA: /readyz says 503 at once, after --drain no
connection is taken any more, requests under way have 15 seconds, and the exit code is 0. A second signal ends it at once.

/metrics tells what the CA does, without any name that a client chose; with --admin it is no longer on the API's own port.

Exit codes: 0 stopped by a signal; 2 wrong usage or configuration; 69 the authority cannot be had.

Examples:
  signet-ca serve --config ca.jsonc --listen 127.0.0.1:8443
  signet-ca serve --config ca.jsonc --listen 0.0.0.0:8443 --tls-cert tls.crt --tls-key tls.key --admin 127.0.0.1:9443
  signet-ca serve --config ca.jsonc --listen 0.0.0.0:8443 --tls-names signet-ca.signet-system.svc \\
    --publish-roots signet-system/signet-ca-roots --drain 5s`,
    )
    .action(async (options: Options) => {
      const listen = parseAddress("--listen", options.listen);
      const admin = options.admin === undefined ? undefined : parseAddress("--admin", options.admin);
      const drainSeconds = parseDrain(options.drain);
      const limits = { maxConnections: parseCount("--max-connections", options.maxConnections) };
      const tls = parseTls(options);
      if (tls === undefined && !isLoopbackHost(listen.host.includes(":") ? `[${listen.host}]` : listen.host)) {
        throw new SignetError(
          "config-invalid",
          `--listen ${options.listen}: give --tls-names, or --tls-cert and --tls-key; tokens go over plain http only on a loopback address`,
        );
      }
      const logger = createLogger(options.logLevel);
      const publishRoots = parsePublishRoots(options);
      let running: Running | undefined;
      let stopping = false;
      // From the very start: in a container this is process 1, which a signal without a handler does not end.
      const stop = (signal: NodeJS.Signals) => {
        // Whoever asks twice means now.
        if (stopping || running === undefined) process.exit(stopping ? 128 + constants.signals[signal] : 0);
        stopping = true;
        // A person at a terminal has no load balancer to wait for.
        const seconds = signal === "SIGTERM" ? drainSeconds : 0;
        logger.info({ event: "stopping", signal, drainSeconds: seconds }, "stopping");
        void running.stop({ drainSeconds: seconds }).then(() => process.exit(0));
      };
      process.on("SIGTERM", stop);
      process.on("SIGINT", stop);
      const file = await readConfig(options.config);
      running = await locating(file, () => serve({ ...file, ...listen, tls, admin, limits, publishRoots, logger }));
      logger.info({ event: "listening", url: running.url, admin: running.adminUrl }, "serving");
      process.stdout.write(`signet-ca is serving on ${running.url}\n`);
    });
}

function parseAddress(flag: string, text: string): Address {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535)
    throw new SignetError("config-invalid", `${flag} ${text}: write it as 127.0.0.1:8443 or [::1]:8443`);
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

function parseCount(flag: string, text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count > 0) return count;
  throw new SignetError("config-invalid", `${flag} ${text}: write a whole number from 1 to 999999`);
}

// Kubernetes' grace period is 30 s unless told, and after the drain come 15 s for requests and 5 s for audit events.
const longestDrainSeconds = 300;

function parseDrain(text: string): number {
  try {
    const seconds = parseDuration(text);
    if (seconds <= longestDrainSeconds) return seconds;
  } catch (error) {
    throw new SignetError("config-invalid", `--drain: ${asSignetError(error, "config-invalid").message}`);
  }
  throw new SignetError("config-invalid", `--drain ${text}: at most ${longestDrainSeconds}s`);
}

function parseTls({ tlsCert, tlsKey, tlsNames }: Options): ServeOptions["tls"] {
  if (tlsNames !== undefined) {
    if (tlsCert !== undefined || tlsKey !== undefined)
      throw new SignetError(
        "config-invalid",
        "--tls-names takes the place of --tls-cert and --tls-key; give one of both",
      );
    return { dnsNames: parseDnsNames(tlsNames) };
  }
  return pairOf(tlsCert, tlsKey);
}

function parsePublishRoots({ publishRoots }: Options): ObjectName | undefined {
  if (publishRoots === undefined) return undefined;
  const configMap = parseObjectName(publishRoots);
  if (configMap !== undefined) return configMap;
  throw new SignetError("config-invalid", `--publish-roots ${publishRoots}: write it as signet-system/signet-ca-roots`);
}
