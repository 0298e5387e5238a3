import { fit, widthOf } from "@signet/shared/terminal/text";
import type { Paint, Tone } from "./terminal.ts";

export interface Cell {
  /** Cleaned. */
  readonly text: string;
  readonly tone?: Tone;
}

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** Narrower than its contents where the window asks for it, down to this many columns. */
  readonly shrinksTo?: number;
}

const gap = 2;

/** Lines of a table, its title first, in at most `width` columns as far as its columns can shrink. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  paint: Paint,
): string[] {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[at]?.text ?? "")), widthOf(title)),
  );
  let over = widths.reduce((sum, one) => sum + one + gap, -gap) - width;
  // The last column holds what can best be cut, and so on towards the front.
  for (const [at, { shrinksTo }] of [...columns.entries()].reverse()) {
    const own = widths[at] ?? 0;
    if (over <= 0 || shrinksTo === undefined || own <= shrinksTo) continue;
    const taken = Math.min(over, own - shrinksTo);
    widths[at] = own - taken;
    over -= taken;
  }
  const line = (cells: readonly Cell[]) =>
    columns
      .map(({ align }, at) => {
        const { text, tone } = cells[at] ?? { text: "" };
        const shown = fit(text, widths[at] ?? 0);
        const space = " ".repeat(Math.max(0, (widths[at] ?? 0) - widthOf(shown)));
        const painted = tone === undefined ? shown : paint(tone, shown);
        if (align === "right") return space + painted;
        return at === columns.length - 1 ? painted : painted + space;
      })
      .join(" ".repeat(gap))
      .trimEnd();
  return [line(columns.map(({ title }) => ({ text: title, tone: "quiet" }))), ...rows.map(line)];
}
