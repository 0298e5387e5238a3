import { Command, CommanderError } from "commander";
import { addInjectCommand, type InjectFlags } from "./inject/flags.ts";
import { type SettingKey, settingKeys, settings } from "./settings.ts";
import { version } from "./version.ts";

export interface Invocation {
  readonly configFile: string | undefined;
  readonly flags: Partial<Record<SettingKey, string>>;
  /** Flags and words that mean nothing here. */
  readonly faults: readonly string[];
}

const explanation = `
Every setting can be given in three ways; the first one found counts:
  a flag         --ca-url https://ca.example.com
  a variable     SIGNET_CA_URL=https://ca.example.com
  a file         --config agent.jsonc with { "caUrl": "https://ca.example.com" }

Example:
  mkdir -p /var/run/sds
  signet-agent run --ca-url https://ca.example.com --trust-domain cluster.local \\
    --node-token /var/run/secrets/tokens/signet-token

Envoys find their key and certificate under the name "default" and the trust bundle under "ROOTCA", and say who they
are with their pod's token in the stream's metadata. Mount the directory of the socket into their pods, read-only,
never the socket file itself.

Exit codes:
  0   stopped by SIGTERM or SIGINT
  2   the configuration or command line is wrong; every fault is listed
  69  the admin address cannot be listened on
  73  the socket cannot be made, or another process serves it
  1   anything else
`;

export type Outcome = { readonly run: Invocation } | { readonly inject: InjectFlags } | { readonly exitCode: number };

/** Reads the command line; help, version and misuse are answered here. */
export async function readCommandLine(argv: readonly string[]): Promise<Outcome> {
  let outcome: Outcome = { exitCode: 2 };
  const program = new Command("signet-agent")
    .description("Gives the Envoys of this node their X.509 identity over SDS")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(see signet-agent --help)");
  const run = program
    .command("run")
    .description("serve SDS until SIGTERM")
    .option("--config <file>", "JSON or JSONC file with settings")
    .addHelpText("after", explanation)
    // Unknown flags are told together with every other fault instead of alone.
    .allowUnknownOption()
    .allowExcessArguments();
  for (const key of settingKeys) {
    const { fallback, flag, help, hint } = settings[key];
    run.option(`${flag} ${hint}`, fallback === undefined ? help : `${help} (default: ${fallback})`);
  }
  run.action((options: Record<string, string | undefined>, command: Command) => {
    const flags = Object.fromEntries(
      settingKeys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
    );
    const faults = command.args.map((word) =>
      word.startsWith("-")
        ? `${word.split("=")[0]}: unknown flag; see signet-agent run --help`
        : `"${word}": not expected`,
    );
    outcome = { run: { configFile: options.config, flags, faults } };
  });
  addInjectCommand(program, (given) => {
    outcome = { inject: given };
  });
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exitCode: error.exitCode === 0 ? 0 : 2 };
  }
  return outcome;
}
