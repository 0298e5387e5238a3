import { Command, Option } from "commander";
import { podCluster } from "../entry/node/kubernetes/access.ts";
import { check } from "./check/check.ts";
import { formatFinding } from "./check/finding.ts";
import { type PlatformName, platformNames } from "./check/platforms.ts";
import { configFlag, configFlagHelp, readConfigText } from "./config-file.ts";
import { pairOf } from "./tls-flags.ts";

interface Options {
  readonly config?: string;
  readonly platform: PlatformName;
  readonly online?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly json?: boolean;
}

export function checkConfigCommand(): Command {
  return new Command("check-config")
    .description("check a configuration and what it names, without serving")
    .option(configFlag, configFlagHelp)
    .addOption(
      new Option("--platform <name>", "where it is to run: what that platform has not is a fault")
        .choices([...platformNames])
        .default("node"),
    )
    .option("--online", "ask the issuers, deny lists and secret stores that are on the network, too")
    .option("--tls-cert <file>", "check this pair for serve, too: the PEM certificate chain")
    .option("--tls-key <file>", "and its PEM key")
    .option("--json", "print findings as JSON")
    .addHelpText(
      "after",
      `
Every fault is told at once, one on a line, as FILE:LINE:COLUMN: LEVEL: KEY: FAULT. Beside the document itself, whatever it
names and can be read from here is read and held against its form: the authority and its key, key sets, deny lists, tokens
and certificates of token reviews. Nothing is changed, and nothing of a secret is printed. An issuer that cannot be reached
is a warning: the CA starts without it, and asks again.

Exit codes: 0 it can be used (there may be warnings); 2 the document is wrong; 69 the document is right, but something
that it names is not.

Examples:
  signet-ca check-config --config ca.jsonc
  signet-ca check-config --config ca.jsonc --online --tls-cert tls.crt --tls-key tls.key
  signet-ca check-config --config ca.jsonc --platform workers --json | jq '.findings[]'`,
    )
    .action(async ({ config: path, platform, online = false, json = false, tlsCert, tlsKey }: Options) => {
      const tls = pairOf(tlsCert, tlsKey);
      const file = await readConfigText(path);
      const { KUBERNETES_SERVICE_HOST, NODE_ENV } = process.env;
      // Whoever checks waits for nobody.
      const cluster = KUBERNETES_SERVICE_HOST === undefined ? undefined : { ...podCluster, patienceSeconds: 0 };
      const { findings, config, exitCode } = await check(file, {
        ...{ platform, online, production: NODE_ENV === "production" },
        ...{ now: Date.now() / 1000, tls, cluster },
        fetch: (url, init) => fetch(url, init),
      });
      process.exitCode = exitCode;
      if (json) {
        process.stdout.write(`${JSON.stringify({ file: file.source, ok: exitCode === 0, findings }, null, 2)}\n`);
        return;
      }
      const to = exitCode === 0 ? process.stdout : process.stderr;
      for (const finding of findings) to.write(`${formatFinding(file.source, finding)}\n`);
      const count = (level: string) => findings.filter((finding) => finding.level === level).length;
      const [errors, warnings] = [count("error"), count("warning")];
      const summary =
        config === undefined || errors > 0
          ? `${errors} error${errors === 1 ? "" : "s"}`
          : `can be used on ${platform}: trust domain ${config.trustDomain}, issuers: ${config.issuers.length}`;
      to.write(
        `${file.source}: ${summary}${warnings > 0 ? `, ${warnings} warning${warnings === 1 ? "" : "s"}` : ""}\n`,
      );
    });
}
