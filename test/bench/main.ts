/** Figures of the hot paths as ratios within one run: `npm run bench [ca|http|workerd|growth|batches|agent|pods]`. */
import { benchAgent } from "./agent.ts";
import { benchBatches } from "./batches.ts";
import { benchCaCpu } from "./ca.ts";
import { benchGrowth } from "./growth.ts";
import { benchCaHttp } from "./http.ts";
import { benchPodSockets } from "./pod-sockets.ts";
import { benchWorkerd } from "./workerd.ts";

const parts: Readonly<Record<string, () => Promise<void>>> = {
  ca: benchCaCpu,
  http: benchCaHttp,
  workerd: benchWorkerd,
  growth: benchGrowth,
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
