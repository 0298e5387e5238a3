import { fromBase64, toBase64 } from "./base64.ts";
import { SignetError } from "./errors.ts";

/** One PEM block (RFC 7468): its label and the DER in it. */
export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array<ArrayBuffer>;
}

const lineLength = 64;

/** PEM text with lines of 64 characters and a newline at the end. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = toBase64(der);
  let lines = "";
  for (let at = 0; at < base64.length; at += lineLength) lines += `${base64.slice(at, at + lineLength)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

/**
 * All blocks of a PEM text. ASCII white space may stand around lines; any other text outside a block, headers inside
 * one (RFC 1421 encryption) and labels that do not agree are refused.
 * @throws SignetError `malformed-pem`
 */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let base64 = "";
  for (const raw of text.split("\n")) {
    const line = withoutSpace(raw);
    if (line === "") continue;
    const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----$/.exec(line);
    if (boundary === null) {
      if (label === undefined) throw malformed("text outside of a block");
      base64 += line;
    } else if (boundary[1] === "BEGIN") {
      if (label !== undefined) throw malformed(`a block begins inside ${named(label)}`);
      label = boundary[2] ?? "";
      base64 = "";
    } else {
      if (label === undefined || label !== boundary[2]) throw malformed("an END without its BEGIN");
      const der = fromBase64(base64);
      if (der === undefined || der.length === 0) throw malformed(`${named(label)} is not base64`);
      blocks.push({ label, der });
      label = undefined;
    }
  }
  if (label !== undefined) throw malformed(`${named(label)} does not end`);
  if (blocks.length === 0) throw malformed("no block");
  return blocks;
}

/**
 * The DER of a PEM text that holds exactly one block, whose label is one of `labels`.
 * @throws SignetError `malformed-pem`
 */
export function decodeSinglePem(text: string, labels: readonly string[]): Uint8Array<ArrayBuffer> {
  const [block, ...more] = decodePem(text);
  if (block === undefined || more.length > 0) throw malformed("exactly one block is expected");
  if (!labels.includes(block.label)) throw malformed(`a ${labels[0]} is expected, not ${named(block.label)}`);
  return block.der;
}

/** A label as those of RFC 7468 are; another text may stand there by mistake, and is not for messages. */
function named(label: string): string {
  return /^[A-Z ]*\d{0,3}[A-Z ]*$/.test(label) ? `the block ${label}` : "a block of an unknown kind";
}

// The white space of RFC 7468 §3. String.trim() would also take Unicode's away, which other readers do not.
const isSpace = (code: number) => code === 0x20 || (code >= 0x09 && code <= 0x0d);

function withoutSpace(line: string): string {
  let [start, end] = [0, line.length];
  while (start < end && isSpace(line.charCodeAt(start))) start++;
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-pem", `not PEM: ${reason}`);
}
