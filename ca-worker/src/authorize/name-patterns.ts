/** A pattern that every name matches. */
export const anyName = "*";

/**
 * Numbers the patterns of names: exact ones, and prefixes with `*` at their end. Which of them a name matches takes a
 * look-up for each length that a prefix has, however many patterns there are.
 */
export class PatternTable {
  readonly #exact = new Map<string, number>();
  readonly #prefixes = new Map<number, Map<string, number>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of a pattern, the same each time. */
  add(pattern: string): number {
    const table = pattern.endsWith("*") ? this.#tableOf(pattern.length - 1) : this.#exact;
    const key = pattern.endsWith("*") ? pattern.slice(0, -1) : pattern;
    const known = table.get(key);
    if (known !== undefined) return known;
    table.set(key, this.#size);
    return this.#size++;
  }

  /** The numbers of all patterns that a name matches. */
  matching(name: string): number[] {
    const exact = this.#exact.get(name);
    const found = exact === undefined ? [] : [exact];
    for (const [length, prefixes] of this.#prefixes) {
      if (length > name.length) continue;
      const number = prefixes.get(name.slice(0, length));
      if (number !== undefined) found.push(number);
    }
    return found;
  }

  #tableOf(length: number): Map<string, number> {
    const known = this.#prefixes.get(length);
    if (known !== undefined) return known;
    const made = new Map<string, number>();
    this.#prefixes.set(length, made);
    return made;
  }
}

/** Names by patterns, such as `["foo", "team-*"]`. */
export class NamePatterns {
  readonly #table = new PatternTable();

  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) this.#table.add(pattern);
  }

  has(name: string): boolean {
    return this.#table.matching(name).length > 0;
  }
}

/** Whether one pattern matches a name; what the tables above find, they find by this. */
export function matchesPattern(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
