#!/usr/bin/env node
import { existsSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

// What a burst of streams leaves behind dies young. A nursery that does not grow for it keeps 20 MiB for 250 sidecars
// from becoming resident, at no cost in CPU that could be measured.
setFlagsFromString("--semi-space-growth-factor=1");
// An agent is idle but for bursts, and those are cryptography and HTTP/2, which is native code. What the optimizing
// compilers make of the rest costs 15 MiB with 250 sidecars, and by the time that it is there they are served.
setFlagsFromString("--no-opt");
setFlagsFromString("--no-maglev");

const program = new URL("../dist/signet-agent.js", import.meta.url);
if (!existsSync(program)) {
  process.stderr.write("signet-agent: not built yet; run `npm run build` first\n");
  process.exit(69);
}
await import(program.href);
