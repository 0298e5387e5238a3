import { SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";
import { Command, Option } from "commander";
import { createLogger } from "../entry/node/log.ts";
import { serve } from "../entry/node/serve.ts";
import { readConfig } from "./config-file.ts";

interface Options {
  readonly config?: string;
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

export function serveCommand(): Command {
  return new Command("serve")
    .description("run the CA as an HTTP server on Node")
    .option("--config <file>", "the configuration (JSON, comments allowed); without it, the document in SIGNET_CONFIG")
    .option("--listen <host:port>", "address to listen on; port 0 takes any free one", "127.0.0.1:8443")
    .option("--tls-cert <file>", "PEM certificate chain for https; plain http only on a loopback address")
    .option("--tls-key <file>", "PEM key of that certificate")
    .addOption(
      new Option("--log-level <level>", "least severe line to log")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .addHelpText(
      "after",
      `
Where the configuration's authority.store is a file that is not there, a new authority is made in it, for development.
Set NODE_ENV=production to have that refused.

Example:
  signet-ca serve --config ca.jsonc --listen 127.0.0.1:8443`,
    )
    .action(async (options: Options) => {
      const { host, port } = parseListen(options.listen);
      const tls = parseTls(options);
      if (tls === undefined && !isLoopbackHost(host.includes(":") ? `[${host}]` : host)) {
        throw new SignetError(
          "config-invalid",
          `--listen ${options.listen}: give --tls-cert and --tls-key; tokens go over plain http only on a loopback address`,
        );
      }
      const logger = createLogger(options.logLevel);
      const running = await serve({ ...(await readConfig(options.config)), host, port, tls, logger });
      logger.info({ event: "listening", url: running.url }, "serving");
      process.stdout.write(`signet-ca is serving on ${running.url}\n`);
      const stop = (signal: string) => {
        logger.info({ event: "stopping", signal }, "stopping");
        void running.stop().then(() => process.exit(0));
        // A client that never ends its request must not keep the process.
        setTimeout(() => process.exit(0), 10_000).unref();
      };
      process.once("SIGTERM", stop);
      process.once("SIGINT", stop);
    });
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535)
    throw new SignetError("config-invalid", `--listen ${text}: write it as 127.0.0.1:8443 or [::1]:8443`);
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

function parseTls({ tlsCert, tlsKey }: Options): { certificate: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new SignetError("config-invalid", "--tls-cert and --tls-key go together");
  return { certificate: tlsCert, key: tlsKey };
}
