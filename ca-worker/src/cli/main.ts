import { asSignetError } from "@signet/shared/errors";
import { Command, CommanderError } from "commander";
import { authorityCommand } from "./authority.ts";
import { checkConfigCommand } from "./check-config.ts";
import { ExitCode, exitCodeOf, exitCodesHelp } from "./exit-codes.ts";
import { explainCommand } from "./explain.ts";
import { inspectCommand } from "./inspect-command.ts";
import { serveCommand } from "./serve.ts";

const program = new Command("signet-ca")
  .description("Signet's certificate authority: X.509 identities for the workloads of a service mesh")
  .version("0.1.0")
  .exitOverride()
  .showHelpAfterError("(see --help)")
  .addCommand(serveCommand())
  .addCommand(checkConfigCommand())
  .addCommand(authorityCommand())
  .addCommand(explainCommand())
  .addCommand(inspectCommand())
  .addHelpText("after", exitCodesHelp);
for (const command of program.commands) {
  command.exitOverride().showHelpAfterError("(see --help)");
  for (const step of command.commands) step.exitOverride().showHelpAfterError("(see --help)");
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  } else {
    const { code, message } = asSignetError(error, "internal");
    process.stderr.write(`signet-ca: ${message}\n`);
    process.exitCode = exitCodeOf(code);
  }
}
