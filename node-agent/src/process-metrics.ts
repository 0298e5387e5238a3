import { readdirSync, readFileSync } from "node:fs";
import { type PerformanceEntry, PerformanceObserver, performance } from "node:perf_hooks";
import { Histogram } from "./metrics.ts";
import type { Family } from "./prometheus-format.ts";
import { counter, gauge, histogramOf, one } from "./prometheus-samples.ts";

// From a young generation that is quickly swept to a pause that Envoys would notice.
const pauseSeconds = [0.001, 0.005, 0.01, 0.05, 0.1, 1];
// constants.NODE_PERFORMANCE_GC_*
const gcKinds: Readonly<Record<number, string>> = { 1: "minor", 4: "major", 8: "incremental", 16: "weakcb" };

/**
 * The process as Prometheus' client libraries name its figures, read when somebody asks; nothing ticks in between. Pauses
 * of the garbage collector are counted from the making of this on.
 */
export class ProcessMetrics {
  readonly #pauses = new Map<string, Histogram>();

  constructor() {
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { detail, duration } = entry as PerformanceEntry & { readonly detail: { readonly kind: number } };
        this.#pauseOf(gcKinds[detail.kind] ?? "other").observe(duration / 1e3);
      }
    }).observe({ entryTypes: ["gc"] });
  }

  families(): readonly Family[] {
    const { system, user } = process.cpuUsage();
    const { external, heapTotal, heapUsed, rss } = process.memoryUsage();
    const { active, idle } = performance.eventLoopUtilization();
    return [
      counter("process_cpu_user_seconds_total", "CPU time spent in the program", one(user / 1e6)),
      counter("process_cpu_system_seconds_total", "CPU time spent for it in the kernel", one(system / 1e6)),
      counter("process_cpu_seconds_total", "CPU time spent in all", one((user + system) / 1e6)),
      gauge("process_start_time_seconds", "When the process started", one(performance.timeOrigin / 1e3)),
      gauge("process_resident_memory_bytes", "Memory in use", one(rss)),
      gauge("process_open_fds", "File descriptors in use", one(openFiles())),
      gauge("process_max_fds", "File descriptors that may be used", one(mostFiles())),
      gauge("nodejs_heap_size_total_bytes", "Heap that V8 has taken", one(heapTotal)),
      gauge("nodejs_heap_size_used_bytes", "Heap in use", one(heapUsed)),
      gauge("nodejs_external_memory_bytes", "Memory outside of the heap that the heap holds", one(external)),
      counter("nodejs_eventloop_active_seconds_total", "Time that the event loop was not waiting", one(active / 1e3)),
      counter("nodejs_eventloop_idle_seconds_total", "Time that the event loop was waiting", one(idle / 1e3)),
      {
        name: "nodejs_gc_duration_seconds",
        type: "histogram",
        help: "Pauses of the garbage collector since the first scrape, by kind",
        samples: [...this.#pauses].flatMap(([kind, pause]) => histogramOf(pause, { kind })),
      },
      gauge("nodejs_version_info", "Version of Node.js", [{ value: 1, labels: { version: process.version } }]),
    ];
  }

  #pauseOf(kind: string): Histogram {
    const pause = this.#pauses.get(kind) ?? new Histogram(pauseSeconds);
    this.#pauses.set(kind, pause);
    return pause;
  }
}

// Linux tells both in /proc; elsewhere the figures are left out.
function openFiles(): number | undefined {
  try {
    // One of them reads the folder.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

function mostFiles(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
