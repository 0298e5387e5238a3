import { Command, CommanderError } from "commander";
import { addDoctorOptions, type DoctorFlags } from "./doctor/flags.ts";
import { addFetchCommand, type FetchFlags } from "./fetch/flags.ts";
import { addInjectCommand, type InjectFlags } from "./inject/flags.ts";
import { type SettingKey, settingKeys, settings } from "./settings.ts";
import { addStatusCommand, type StatusFlags } from "./status/flags.ts";
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

export type Outcome =
  | { readonly run: Invocation }
  | { readonly inject: InjectFlags }
  | { readonly status: StatusFlags }
  | { readonly doctor: DoctorFlags }
  | { readonly fetch: FetchFlags }
  | { readonly exitCode: number };

/** Reads the command line; help, version and misuse are answered here. */
export async function readCommandLine(argv: readonly string[]): Promise<Outcome> {
  let outcome: Outcome = { exitCode: 2 };
  const program = new Command("signet-agent")
    .description("Gives the Envoys of this node their X.509 identity over SDS")
    .version(version)
    .exitOverride()
    .showHelpAfterError("(see signet-agent --help)");
  const run = program.command("run").description("serve SDS until SIGTERM").addHelpText("after", explanation);
  addSettings(run).action((options: Options, command: Command) => {
    outcome = { run: invocationOf(options, command) };
  });
  addStatusCommand(program, (status) => {
    outcome = { status };
  });
  const doctor = program
    .command("doctor")
    .description("look for whatever keeps the agent from its work, and say how to mend it");
  addDoctorOptions(addSettings(doctor)).action((options: Options, command: Command) => {
    const { json, token } = options;
    outcome = {
      doctor: {
        ...invocationOf(options, command),
        token: typeof token === "string" ? token : undefined,
        json: json === true,
      },
    };
  });
  addFetchCommand(program, (fetch) => {
    outcome = { fetch };
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

type Options = Readonly<Record<string, string | boolean | undefined>>;

function addSettings(command: Command): Command {
  command
    .option("--config <file>", "JSON or JSONC file with settings")
    // Unknown flags are told together with every other fault instead of alone.
    .allowUnknownOption()
    .allowExcessArguments();
  for (const key of settingKeys) {
    const { fallback, flag, help, hint } = settings[key];
    command.option(`${flag} ${hint}`, fallback === undefined ? help : `${help} (default: ${fallback})`);
  }
  return command;
}

function invocationOf(options: Options, command: Command): Invocation {
  const given = (key: string) => {
    const value = options[key];
    return typeof value === "string" ? value : undefined;
  };
  const faults = command.args.map((word) =>
    word.startsWith("-")
      ? `${word.split("=")[0]}: unknown flag; see signet-agent ${command.name()} --help`
      : `"${word}": not expected`,
  );
  const flags = settingKeys.flatMap((key) => {
    const value = given(key);
    return value === undefined ? [] : [[key, value] as const];
  });
  return { configFile: given("config"), flags: Object.fromEntries(flags), faults };
}
