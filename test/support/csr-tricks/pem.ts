import { encodePem } from "@signet/shared/pem";
import { csr, csrDer, namingOwn, type Oddity, type Trick } from "./build.ts";

const good = () => csr({ attributes: namingOwn });
const body = () => good().split("\n").slice(1, -2).join("\n");
const [begin, end] = ["-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"];
const trick = (rule: string, pem: () => string, more: Partial<Trick> = {}): Trick => ({
  rule,
  code: "malformed-csr",
  pem,
  ...more,
});
const base64Of = (length: number) =>
  Buffer.from(csrDer({ attributes: namingOwn }))
    .toString("base64")
    .slice(0, length);

/** PEM that another reader could take for another text (RFC 7468). */
export const pemTricks: readonly Trick[] = [
  trick("no text", () => ""),
  trick("white space", () => " \n\n "),
  trick("text before it", () => `Subject: CN=sleep\n${good()}`),
  trick("text after it", () => `${good()}# the end\n`),
  trick("a NUL after it", () => `${good()}\0`),
  trick("a private key beside it", () => good() + encodePem("PRIVATE KEY", new Uint8Array(40))),
  trick("two requests", () => good() + good()),
  trick("the same request twice without a line between", () => good().trimEnd() + good()),
  trick("headers of encryption inside", () =>
    good().replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
  ),
  trick("a header inside", () => good().replace("\n", "\nComment: a\n\n")),
  trick("a request inside a request", () => good().replace("\n", `\n${begin}\n`)),
  trick("no end", () => `${begin}\n${body()}\n`),
  trick("no beginning", () => `${body()}\n${end}\n`),
  trick("an end of another label", () => good().replace("END CERTIFICATE REQUEST", "END CERTIFICATE")),
  trick("the label of a certificate", () => good().replaceAll("CERTIFICATE REQUEST", "CERTIFICATE")),
  trick("the label of a key", () => good().replaceAll("CERTIFICATE REQUEST", "PUBLIC KEY")),
  trick("a label in lower case", () => good().replaceAll("CERTIFICATE REQUEST", "certificate request")),
  trick("a label with a space at its end", () => good().replaceAll("REQUEST-----", "REQUEST -----")),
  trick("four dashes", () => good().replaceAll("-----", "----")),
  trick("six dashes", () => good().replaceAll("-----", "------")),
  trick("a space before the first dash only", () => good().replace("-----BEGIN", "- ----BEGIN")),
  trick("all on one line", () => `${begin}${body().replaceAll("\n", "")}${end}`),
  trick(
    "base64 without its padding",
    () => `${begin}\n${base64Of(Number.POSITIVE_INFINITY).replace(/=+$/, "").slice(0, -1)}\n${end}\n`,
  ),
  trick("padding in the middle", () => good().replace(/\n(.{20})/, "\n$1====")),
  trick("more padding than there can be", () => good().replace(/\n-----END/, "====\n-----END")),
  trick(
    "base64url",
    () =>
      `${begin}\n${Buffer.from(csrDer({ subject: urlish() }))
        .toString("base64")
        .replaceAll("+", "-")
        .replaceAll("/", "_")}\n${end}\n`,
  ),
  trick("a letter that is not of base64", () => good().replace(/\n(.{20})./, "\n$1!")),
  trick("a letter that is not ASCII", () => good().replace(/\n(.{20})./, "\n$1\u0430")),
  trick("a NUL inside", () => good().replace(/\n(.{20})/, "\n$1\0")),
  trick("white space inside of a line", () => good().replace(/\n(.{20})/, "\n$1 "), {}),
  trick("a byte order mark", () => `\ufeff${good()}`),
  trick("a space of Unicode around a line", () => good().replace("\n", "\u00a0\n")),
  trick("a line separator of Unicode as the end of a line", () => good().replace(/\n(.{64})\n/, "\n$1\u2028"), {}),
  trick("carriage returns alone", () => good().replaceAll("\n", "\r"), {}),
  trick("an empty block", () => `${begin}\n${end}\n`),
  trick("DER in place of PEM", () => Buffer.from(csrDer({})).toString("latin1")),
  trick("base64 without a block", () => base64Of(Number.POSITIVE_INFINITY), {}),
  trick("10,000 dashes", () => "-".repeat(10_000)),
  trick("6,000 lines", () => "\n".repeat(6_000)),
  trick("a line of 12,000 spaces and a letter", () => `${" ".repeat(12_000)}a`),
  trick("1,000 beginnings", () => "-----BEGIN A-----\n".repeat(600)),
];

/** What RFC 7468 lets a writer do. */
export const pemOddities: readonly Oddity[] = [
  { rule: "no line end after the last line", pem: () => good().trimEnd() },
  { rule: "lines that end in CR LF", pem: () => good().replaceAll("\n", "\r\n") },
  { rule: "spaces and tabs at the ends of lines", pem: () => good().replaceAll("\n", " \t\n") },
  { rule: "empty lines around it", pem: () => `\n\n${good()}\n\n` },
  { rule: "base64 on one line", pem: () => `${begin}\n${body().replaceAll("\n", "")}\n${end}\n` },
  { rule: "lines of 76", pem: () => `${begin}\n${body().replaceAll("\n", "").replace(/.{76}/g, "$&\n")}\n${end}\n` },
  {
    rule: "the label of older Microsoft and Java tools",
    pem: () => good().replaceAll("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
  },
];

/** A subject in whose base64 both signs are that base64url writes otherwise. */
function urlish(): Uint8Array {
  const text = Uint8Array.from({ length: 12 }, (_, at) => [0xfb, 0xef, 0xbe, 0xff][at % 4] ?? 0);
  return Uint8Array.of(0x30, 23, 0x31, 21, 0x30, 19, 0x06, 3, 0x55, 4, 3, 0x0c, 12, ...text);
}
