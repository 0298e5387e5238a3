import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** What the demo prints. Colours and a moving line only where a person looks at a terminal. */
export class Screen {
  readonly #out = process.stdout;
  readonly #live = process.stdout.isTTY === true;
  readonly #colours = this.#live && (process.env.NO_COLOR ?? "") === "";
  #ticker: NodeJS.Timeout | undefined;
  #liveLine = false;

  title(text: string): void {
    this.line(this.#style("bold", text));
  }

  heading(text: string): void {
    this.line("");
    this.line(this.#style("bold", text));
  }

  ok(text: string): void {
    this.line(`${this.#style("green", "ok")}  ${text}`);
  }

  failed(text: string): void {
    this.line(`${this.#style("red", "FAILED")}  ${text}`);
  }

  note(text: string): void {
    this.line(this.#style("dim", text));
  }

  line(text: string): void {
    this.#clear();
    this.#out.write(`${text}\n`);
  }

  /** Columns as wide as their widest cell. */
  table(rows: readonly (readonly string[])[]): void {
    const widths: number[] = [];
    for (const row of rows) {
      for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
    for (const [index, row] of rows.entries()) {
      const text = row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd();
      this.line(index === 0 ? this.#style("dim", text) : text);
    }
  }

  /**
   * Shows that something goes on while `work` runs: a line that moves in a terminal, elsewhere one every few seconds.
   * `state` tells how far it is.
   */
  async during<T>(what: string, work: Promise<T>, state: () => string = () => ""): Promise<T> {
    const began = Date.now();
    const text = () => {
      const [seconds, detail] = [Math.round((Date.now() - began) / 1000), state()];
      return `..  ${what}, ${seconds} s${detail === "" ? "" : `: ${detail}`}`;
    };
    const show = () => {
      if (!this.#live) return this.line(text());
      this.#out.write(`\r\x1b[2K${this.#style("dim", text().slice(0, (this.#out.columns ?? 80) - 1))}`);
      this.#liveLine = true;
    };
    this.#ticker = setInterval(show, this.#live ? 100 : 3_000);
    try {
      return await work;
    } finally {
      this.quiet();
    }
  }

  /** Ends the moving line. */
  quiet(): void {
    clearInterval(this.#ticker);
    this.#clear();
  }

  #clear(): void {
    if (this.#liveLine) this.#out.write("\r\x1b[2K");
    this.#liveLine = false;
  }

  #style(style: Style, text: string): string {
    return this.#colours ? styleText(style, text, { validateStream: false }) : text;
  }
}
