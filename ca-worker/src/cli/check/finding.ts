import { type Node, parseTree } from "jsonc-parser";
import { placeOf } from "../../config/document.ts";

/** What is wrong in a configuration, or may be, and where. */
export interface Finding {
  readonly level: "error" | "warning" | "note";
  /** The path of its key and what is wrong, as `issuers.0.keys: missing`. */
  readonly fault: string;
  /** From 1; undefined where it is about no place of the text. */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** Finds the place of a fault by the key that it begins with; for a key that is missing, the place of what lacks it. */
export function findingOf(text: string, level: Finding["level"], fault: string): Finding {
  // Syntax errors bring their place with them.
  const told = /^line (\d+), column (\d+): /.exec(fault);
  if (told !== null) {
    return { level, fault: fault.slice(told[0].length), line: Number(told[1]), column: Number(told[2]) };
  }
  const root = parseTree(text, [], { allowTrailingComma: true });
  const offset = root && offsetOf(root, root.offset, fault);
  return { level, fault, line: undefined, column: undefined, ...(offset !== undefined && placeOf(text, offset)) };
}

/** @param at where the key of `node` stands, or it itself */
function offsetOf(node: Node, at: number, rest: string): number {
  const found = node.type === "array" ? elementOf(node, rest) : memberOf(node, rest);
  if (found === undefined) return at;
  const { key, value, offset } = found;
  return rest[key.length] === "." ? offsetOf(value, offset, rest.slice(key.length + 1)) : offset;
}

interface Child {
  readonly key: string;
  readonly value: Node;
  readonly offset: number;
}

/** The member that a path begins with. A key may have dots itself: the longest that fits is meant. */
function memberOf({ children = [] }: Node, rest: string): Child | undefined {
  let found: Child | undefined;
  for (const { children: [name, value] = [] } of children) {
    if (name === undefined || value === undefined) continue;
    const key = String(name.value);
    const fits = rest.startsWith(key) && /^[.:]/.test(rest.slice(key.length));
    if (fits && key.length >= (found?.key.length ?? 0)) found = { key, value, offset: name.offset };
  }
  return found;
}

function elementOf({ children = [] }: Node, rest: string): Child | undefined {
  const key = /^\d+(?=[.:])/.exec(rest)?.[0];
  const value = children[Number(key)];
  return key === undefined || value === undefined ? undefined : { key, value, offset: value.offset };
}

/** In the form that editors and terminals take for a link: `ca.jsonc:3:5: error: ...`. */
export function formatFinding(source: string, { level, fault, line, column }: Finding): string {
  return `${source}:${line === undefined ? "" : `${line}:${column}:`} ${level}: ${fault}`;
}
