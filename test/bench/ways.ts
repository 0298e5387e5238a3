import type { Clients } from "./clients.ts";
import { median, threadSecondsOf } from "./cpu.ts";
import type { Workloads } from "./workloads.ts";

const certificates = 640;
const batchSize = 64;
const ways = {
  "1 at once": (clients: Clients, workloads: Workloads) => clients.ask(certificates, 1, () => workloads.single()),
  "16 at once": (clients: Clients, workloads: Workloads) => clients.ask(certificates, 16, () => workloads.single()),
  [`batches of ${batchSize}, 2 at once`]: (clients: Clients, workloads: Workloads) =>
    clients.ask(certificates / batchSize, 2, () => workloads.batch(batchSize)),
};
// Until the optimizing compilers are done with what is hot.
const warmUps = 8;

/** Seconds of CPU that a server takes for a certificate, by the way of asking, one list of rounds each. */
export async function measureWays(
  pid: number,
  clients: Clients,
  workloads: Workloads,
  rounds: number,
  afterRound: () => Promise<void>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]));
  for (let round = -warmUps; round < rounds; round++) {
    for (const [way, ask] of Object.entries(ways)) {
      const before = await threadSecondsOf(pid);
      await ask(clients, workloads);
      if (round >= 0) found.get(way)?.push(((await threadSecondsOf(pid)) - before) / certificates);
    }
    if (round >= 0) await afterRound();
  }
  return found;
}

/** A line for each way. */
export function tellWays(
  costs: ReadonlyMap<string, readonly number[]>,
  tell: (seconds: number, costs: readonly number[], way: string) => string,
): void {
  for (const [way, list] of costs) console.log(`  ${way}: ${tell(median(list), list, way)}`);
}
