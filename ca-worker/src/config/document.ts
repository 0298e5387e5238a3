import { type Node, type ParseError, parse, parseTree, printParseErrorCode } from "jsonc-parser";

/** Line and column of an offset, both from 1. */
export function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** By the names of jsonc-parser. */
const says: Readonly<Record<string, string>> = {
  InvalidSymbol: "this is no JSON; texts stand in double quotes",
  InvalidNumberFormat: "this is no number",
  PropertyNameExpected: "a key in double quotes is expected",
  ValueExpected: "a value is expected",
  ColonExpected: 'a ":" is missing before this',
  CommaExpected: 'a "," is missing before this',
  CloseBraceExpected: 'a "}" is missing here',
  CloseBracketExpected: 'a "]" is missing here',
  EndOfFileExpected: "the document has ended before this",
  UnexpectedEndOfComment: "a comment does not end",
  UnexpectedEndOfString: "a text does not end on its line",
  InvalidEscapeCharacter: "this escape is not JSON's",
  InvalidUnicode: "this \\u escape is not JSON's",
  InvalidCharacter: "this character must be escaped in a text",
};

const options = { allowTrailingComma: true };

/**
 * Reads JSON with comments and trailing commas. Two members of one name are a fault: which of them counts is anybody's
 * guess.
 */
export function readDocument(text: string): { readonly value: unknown; readonly faults: readonly string[] } {
  if (text.trim() === "") return { value: undefined, faults: ["it is empty"] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, options);
  const faultAt = (offset: number, what: string) => {
    const { line, column } = placeOf(text, offset);
    return `line ${line}, column ${column}: ${what}`;
  };
  if (errors.length > 0 || root === undefined) {
    // What follows a fault on its line is mostly of its making.
    const first = new Map(errors.map((error) => [placeOf(text, error.offset).line, error] as const).reverse());
    const faults = [...first.values()]
      .reverse()
      .map(({ error, offset }) => faultAt(offset, says[printParseErrorCode(error)] ?? "no JSON"));
    return { value: undefined, faults };
  }
  const faults = repeatedKeys(root).map((key) =>
    faultAt(key.offset, `the key ${JSON.stringify(key.value)} stands twice`),
  );
  return { value: parse(text, [], options), faults };
}

/** Keys that an object has had before, and `__proto__`, which would not be a member at all. */
function repeatedKeys(node: Node): Node[] {
  const children = node.children ?? [];
  if (node.type !== "object") return children.flatMap(repeatedKeys);
  const seen = new Set<unknown>(["__proto__"]);
  return children.flatMap(({ children: [key, value] = [] }) => {
    const repeated = key !== undefined && seen.has(key.value) ? [key] : [];
    seen.add(key?.value);
    return value === undefined ? repeated : [...repeated, ...repeatedKeys(value)];
  });
}
