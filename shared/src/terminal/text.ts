/**
 * Makes foreign text safe to stand in one line of a terminal: escape sequences and other control characters could recolour
 * it, overwrite lines or forge them, and the marks that turn the direction of writing could show one name as another.
 */
export function clean(text: string): string {
  return text.replace(/[\t\n\r]+/g, " ").replace(unsafe, "\ufffd");
}

/** Several lines, each cleaned. */
export function cleanLines(text: string): string {
  return text.split("\n").map(clean).join("\n");
}

/** JSON on one line that a terminal shows as it is: what {@link clean} takes out is written as an escape. */
export function jsonLine(value: unknown): string {
  const escaped = JSON.stringify(value).replace(unsafe, (letter) =>
    Array.from({ length: letter.length }, (_, at) => `\\u${letter.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
      "",
    ),
  );
  return `${escaped}\n`;
}

// Control characters (C0, DEL, C1), the line separators, what has no width, and marks of direction.
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Cs}/gu;

/** Columns that cleaned text takes; letters of double width do not occur in the names that stand in columns. */
export function widthOf(text: string): number {
  return [...text].length;
}

/** `text` in at most `width` columns, with a mark where something was left out. */
export function fit(text: string, width: number): string {
  const letters = [...text];
  if (letters.length <= width) return text;
  return width <= 1 ? "…".slice(0, width) : `${letters.slice(0, width - 1).join("")}…`;
}

/** Breaks text into lines of at most `width` columns, between words where there are any. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(line);
  return lines;
}
