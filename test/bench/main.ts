/** Figures of the hot paths as ratios within one run: `npm run bench [ca|http|batches|agent|pods]`. */
import { benchAgent } from "./agent.ts";
import { benchBatches } from "./batches.ts";
import { benchCaCpu, benchCaHttp } from "./ca.ts";
import { benchPodSockets } from "./pod-sockets.ts";

const parts: Readonly<Record<string, () => Promise<void>>> = {
  ca: benchCaCpu,
  http: benchCaHttp,
  batches: benchBatches,
  agent: benchAgent,
  pods: benchPodSockets,
};
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}
for (const [name, run] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await run();
