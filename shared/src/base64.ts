/** Base64 (RFC 4648 §4 and §5) over bytes, strict: no white space, no missing or extra padding, no stray bits. */

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  // Chunks keep the argument list of fromCharCode below every engine's limit.
  for (let at = 0; at < bytes.length; at += 8_192) {
    // A spread would go through an iterator, at eight times the cost.
    binary += Reflect.apply(String.fromCharCode, undefined, bytes.subarray(at, at + 8_192));
  }
  return btoa(binary);
}

/** The bytes, or undefined when `text` is not canonical base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  if (hasStrayBits(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The bytes, or undefined when `text` is not canonical unpadded base64url (RFC 7515 §2). */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  return fromBase64(
    text
      .replaceAll("-", "+")
      .replaceAll("_", "/")
      .padEnd(Math.ceil(text.length / 4) * 4, "="),
  );
}

export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Two texts that differ only in the bits after the last byte would decode to the same bytes (RFC 4648 §3.5).
function hasStrayBits(text: string): boolean {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (padding === 0) return false;
  const last = alphabet.indexOf(text.charAt(text.length - 1 - padding));
  return (last & (padding === 2 ? 0b1111 : 0b11)) !== 0;
}
