/** What a piece of text means; what that looks like is the terminal's business. */
export type Tone = "good" | "warning" | "bad" | "quiet" | "strong";

export type Paint = (tone: Tone, text: string) => string;

/** Where a command writes for people. */
export interface Terminal {
  readonly write: (text: string) => void;
  readonly paint: Paint;
  /** Somebody may be watching: lines may be overwritten. */
  readonly isTty: boolean;
  /** Now; a window can change its size. */
  readonly columns: () => number;
  readonly rows: () => number;
}

const codes: Record<Tone, string> = { good: "32", warning: "33", bad: "31", quiet: "2", strong: "1" };

export const plain: Paint = (_tone, text) => text;
export const coloured: Paint = (tone, text) => (text === "" ? "" : `\u001b[${codes[tone]}m${text}\u001b[0m`);

// What goes into a file or a pipe is cut by nobody's window: long enough for every name there can be.
const unlimitedColumns = 4_096;

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** @param env NO_COLOR (no-color.org) and TERM=dumb take the colours away */
export function terminalOf(output: Output, env: Readonly<Record<string, string | undefined>>): Terminal {
  const isTty = output.isTTY === true;
  const colours = isTty && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  return {
    write: (text) => output.write(text),
    paint: colours ? coloured : plain,
    isTty,
    // A terminal that does not know its size says 0.
    columns: () => (isTty ? output.columns || 80 : unlimitedColumns),
    rows: () => (isTty ? output.rows || 24 : Number.POSITIVE_INFINITY),
  };
}
