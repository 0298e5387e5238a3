import { asSignetError } from "@signet/shared/errors";
import { Command, CommanderError } from "commander";
import { authorityCommand } from "./authority.ts";
import { checkConfigCommand } from "./check-config.ts";
import { ExitCode, exitCodeOf, exitCodesHelp } from "./exit-codes.ts";
import { explainCommand } from "./explain.ts";
import { inspectCommand } from "./inspect.ts";
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
  .addHelpText(
    "after",
    `
Getting started:
  signet-ca check-config --config ca.jsonc   tells all faults, each with its line
  signet-ca serve --config ca.jsonc          serves on 127.0.0.1:8443; makes a development authority on the first start
  signet-ca authority init --help            makes the authority for production, on a machine that is off line
  signet-ca inspect https://ca.example.com/v1/trust-bundle

A configuration is JSON with comments:
  {
    "trustDomain": "cluster.local",
    "authority": { "store": "file:./.signet/authority.json" },
    "issuers": [{
      "issuer": "https://kubernetes.default.svc.cluster.local",
      "audiences": ["signet-ca"],
      "keys": "file:./jwks.json" // kubectl get --raw /openid/v1/jwks > jwks.json
    }]
  }
Paths in it start from its own folder. In place of --config FILE, the variable SIGNET_CONFIG may hold the document. With
NODE_ENV=production no authority is made that is missing. The README tells every key.
${exitCodesHelp}`,
  );
for (const command of program.commands) {
  command.exitOverride().showHelpAfterError("(see --help)");
  for (const step of command.commands) step.exitOverride().showHelpAfterError("(see --help)");
}

// Whoever has seen enough closes the pipe, as `head` does: what was said so far was read.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

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
