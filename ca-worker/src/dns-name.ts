const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
// A last label of digits alone would make it an IPv4 address.
const pattern = new RegExp(`^(?:${label}\\.)*(?![0-9]+$)${label}$`);
// RFC 1035 §2.3.4, less the length bytes at both ends.
const maxLength = 253;

/** Whether a text is a host name in lower case (RFC 1123 §2.1): no wildcard, no address, no dot at its end. */
export function isDnsName(text: string): boolean {
  return text.length <= maxLength && pattern.test(text);
}
