#!/usr/bin/env node
import { existsSync } from "node:fs";

const program = new URL("../dist/signet-ca.js", import.meta.url);
if (!existsSync(program)) {
  process.stderr.write("signet-ca: not built yet; run `npm run build` first\n");
  process.exit(69);
}
await import(program.href);
