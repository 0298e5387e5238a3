import type { Histogram } from "./metrics.ts";
import type { Family, Labels, Sample } from "./prometheus-format.ts";

export function gauge(name: string, help: string, samples: Family["samples"]): Family {
  return { name, type: "gauge", help, samples };
}

export function counter(name: string, help: string, samples: Family["samples"]): Family {
  return { name, type: "counter", help, samples };
}

export function histogram(name: string, help: string, of: Histogram): Family {
  return { name, type: "histogram", help, samples: histogramOf(of) };
}

/** A value without labels; nothing where there is none yet. */
export function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ value }];
}

/** One value for each key. Keys come from a closed list, never from a client. */
export function by(label: string, counts: Iterable<readonly [string, number]>): Sample[] {
  return [...counts].map(([key, value]) => ({ value, labels: { [label]: key } }));
}

export function histogramOf({ bounds, buckets, count, sum }: Histogram, labels: Labels = {}): Sample[] {
  return [
    ...bounds.map((le, at) => ({ suffix: "_bucket", labels: { ...labels, le }, value: buckets[at] ?? 0 })),
    { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
    { suffix: "_sum", labels, value: sum },
    { suffix: "_count", labels, value: count },
  ];
}
