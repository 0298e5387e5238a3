import { SignetError } from "./errors.ts";

// Nothing that Signet reads nests deeper than this by half: a token's claims have 4 levels, a batch 4.
const maxDepth = 16;

const loneSurrogate = /\p{Surrogate}/u;

/**
 * Reads JSON that strangers wrote, by RFC 8259 and the stricter I-JSON (RFC 7493 §2.1 and §2.3): no member name twice in
 * an object, compared after unescaping, and no lone surrogate. Two readers of such a text could take it for two things.
 * @param text decoded from UTF-8 by the caller, who refuses what is no UTF-8 and keeps a byte order mark in
 * @throws SignetError `malformed-json`, whose message never quotes the text
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw malformed("it is not JSON");
  }
  // A name that stands twice becomes one member: the text then has more names than the value.
  const names = countMembers(value, text.includes("\\"), 1);
  if (names !== countNames(text)) throw malformed("a member stands twice in an object");
  return value;
}

/** Members of a value and of all that is in it. `escaped`: the text had escapes, which alone can make a lone surrogate. */
function countMembers(value: unknown, escaped: boolean, depth: number): number {
  if (typeof value === "string") {
    if (escaped && loneSurrogate.test(value)) throw malformed("a string has half a surrogate pair");
    return 0;
  }
  if (typeof value !== "object" || value === null) return 0;
  if (depth > maxDepth) throw malformed(`it nests deeper than ${maxDepth} levels`);
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countMembers(item, escaped, depth + 1);
    return count;
  }
  for (const name of Object.keys(value)) {
    if (escaped) countMembers(name, escaped, depth);
    count += 1 + countMembers((value as Record<string, unknown>)[name], escaped, depth + 1);
  }
  return count;
}

const [quote, colon, backslash] = [0x22, 0x3a, 0x5c];

/** Names in a text that is known to be JSON: its colons outside of strings. */
function countNames(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === colon) count++;
    else if (code === quote) at = endOfString(text, at + 1);
  }
  return count;
}

/** The place of the quote that ends the string whose first character is at `start`. */
function endOfString(text: string, start: number): number {
  // Strings are long here, tokens and CSRs, and indexOf is many times as fast as a look at each character.
  let end = text.indexOf('"', start);
  while (isEscaped(text, start, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, start: number, end: number): boolean {
  let at = end;
  while (at > start && text.charCodeAt(at - 1) === backslash) at--;
  return (end - at) % 2 === 1;
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-json", `JSON: ${reason}`);
}
