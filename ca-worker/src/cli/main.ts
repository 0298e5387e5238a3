import { asSignetError } from "@signet/shared/errors";
import { Command, CommanderError } from "commander";
import { authorityCommand } from "./authority.ts";
import { serveCommand } from "./serve.ts";

/** Exit codes, after sysexits.h: 0 done, 2 wrong usage or configuration, 69 something needed is not there, 1 a fault of ours. */
const exitCodes: Readonly<Record<string, number>> = {
  "config-invalid": 2,
  "authority-invalid": 69,
  "authority-unavailable": 69,
  "source-unavailable": 69,
  "cannot-sign": 69,
  "issuer-unavailable": 69,
};

const program = new Command("signet-ca")
  .description("Signet's certificate authority: X.509 identities for the workloads of a service mesh")
  .version("0.1.0")
  .exitOverride()
  .showHelpAfterError("(see --help)")
  .addCommand(serveCommand())
  .addCommand(authorityCommand());
for (const command of program.commands) {
  command.exitOverride().showHelpAfterError("(see --help)");
  for (const step of command.commands) step.exitOverride().showHelpAfterError("(see --help)");
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const { code, message } = asSignetError(error, "internal");
    process.stderr.write(`signet-ca: ${message}\n`);
    process.exitCode = exitCodes[code] ?? 1;
  }
}
