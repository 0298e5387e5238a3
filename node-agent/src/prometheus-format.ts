/** What a family of metrics is, and Prometheus' text format of it (exposition format 0.0.4). */

export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
  /** Behind the family's name: `_bucket`, `_sum` and `_count` of histograms. */
  readonly suffix?: string;
}

export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

export function formatFamilies(families: readonly Family[]): string {
  // The same labels, said for several families, are written out once.
  const written = new Map<Labels, string>();
  const write = (labels: Labels): string => {
    const known = written.get(labels) ?? formatLabels(labels);
    written.set(labels, known);
    return known;
  };
  let text = "";
  for (const { help, name, samples, type } of families) {
    text += `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, suffix = "", value } of samples) {
      text += `${name}${suffix}${labels === undefined ? "" : write(labels)} ${formatValue(value)}\n`;
    }
  }
  return text;
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${escaped(String(value)).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
