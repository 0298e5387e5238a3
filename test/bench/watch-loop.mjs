/**
 * Loaded into the agent before it (`node --import`): tells on its end, in the file of BENCH_LOOP_FILE, for how long its
 * event loop was kept from what was due, in milliseconds, and what its heap came to.
 */
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();
process.on("exit", () => {
  const milliseconds = (nanoseconds) => nanoseconds / 1e6 - resolution;
  const { external, heapTotal, heapUsed } = process.memoryUsage();
  writeFileSync(
    process.env.BENCH_LOOP_FILE ?? "/dev/null",
    JSON.stringify({
      p99: milliseconds(delay.percentile(99)),
      max: milliseconds(delay.max),
      external,
      heapTotal,
      heapUsed,
    }),
  );
});
