type Step = () => void;

const steps = new Set<Step>();
let installed = false;

/** Has `step` done when this process ends, however it ends short of SIGKILL; gives the way to take that back. */
export function atExit(step: Step): () => void {
  install();
  steps.add(step);
  return () => steps.delete(step);
}

function install(): void {
  if (installed) return;
  installed = true;
  process.on("exit", run);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Whoever listens already ends in an orderly way by itself.
    if (process.listenerCount(signal) > 0) continue;
    process.once(signal, () => {
      run();
      // Not process.exit, which a test runner keeps its tests from calling.
      process.kill(process.pid, signal);
    });
  }
}

function run(): void {
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      process.stderr.write(`while ending: ${String(error)}\n`);
    }
  }
}
