/** Implementations of PKCS#10 that ours is held against. */
export type Oracle = "openssl" | "@peculiar/x509";

export interface Difference {
  readonly by: readonly Oracle[];
  readonly why: string;
}

const ber = "BER that is not DER: what is signed could be written in more than one way";
const structure = "RFC 2986 and 5280 have nothing there";
const twice = "two readers could go by another one of them";
const unsigned = "text that nobody signed; two readers could find two requests";
const defaults = "X.690 §11.5: what is the default is left out";
const ecdsa = "RFC 3279 §2.2.3: an ECDSA signature is DER, so that there is one way to write it";
const label = "the label says what a block is for (RFC 7468 §2)";
const unread = "an extension's name is read only where somebody looks for it";

/** Malformed CSRs by their rules, in which others see nothing wrong, and why the CA does. */
export const takenElsewhere: Readonly<Record<string, Difference>> = {
  "an indefinite length of the whole": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "an indefinite length of the signed part": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "an indefinite length in the subject": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "an indefinite length of the attributes": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "an indefinite length in an extension": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "a length in more bytes than it needs": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "a short length in the long form": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "a length with zeros before it": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "a length of four bytes": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "a byte after the end": { by: ["openssl", "@peculiar/x509"], why: "bytes that no signature covers" },
  "another CSR after the end": { by: ["openssl", "@peculiar/x509"], why: "bytes that no signature covers" },
  "a value after the attributes": { by: ["@peculiar/x509"], why: structure },
  "a value inside the key, after it": { by: ["@peculiar/x509"], why: structure },
  "a value after the algorithm's name": { by: ["@peculiar/x509"], why: structure },
  "a byte after the names": {
    by: ["openssl", "@peculiar/x509"],
    why: structure,
  },
  "a value after the extensions": {
    by: ["openssl", "@peculiar/x509"],
    why: structure,
  },
  "a value after an attribute's values": { by: ["@peculiar/x509"], why: structure },
  "a version with a zero before it": {
    by: ["@peculiar/x509"],
    why: ber,
  },
  "a version without a byte": {
    by: ["@peculiar/x509"],
    why: ber,
  },
  "version 2": { by: ["openssl", "@peculiar/x509"], why: "RFC 2986 §4.1 knows version 1 only" },
  "a negative version": { by: ["openssl", "@peculiar/x509"], why: "RFC 2986 §4.1 knows version 1 only" },
  "TRUE as 01": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "cA FALSE written out": { by: ["openssl", "@peculiar/x509"], why: defaults },
  "critical FALSE written out": {
    by: ["openssl", "@peculiar/x509"],
    why: defaults,
  },
  "an object identifier with padding": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "an object identifier that ends early": {
    by: ["openssl"],
    why: unread,
  },
  "an empty object identifier": {
    by: ["openssl", "@peculiar/x509"],
    why: unread,
  },
  "an object identifier of 40 bytes in one arc": {
    by: ["openssl", "@peculiar/x509"],
    why: "no name that counts here has an arc over 32 bits",
  },
  "key usage with zeros at its end": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "key usage with unused bits that are set": {
    by: ["openssl", "@peculiar/x509"],
    why: ber,
  },
  "key usage with eight unused bits": {
    by: ["openssl"],
    why: ber,
  },
  "a signature of a bit less than whole bytes": { by: ["@peculiar/x509"], why: "a signature is whole bytes" },
  "an extension's value in two pieces": {
    by: ["openssl"],
    why: ber,
  },
  "attributes without the constructed bit": {
    by: ["openssl"],
    why: ber,
  },
  "an extension's value without its octet string": {
    by: ["openssl"],
    why: "an extension request is read only where somebody looks into it",
  },
  "a set where the sequence of extensions belongs": { by: ["openssl"], why: "RFC 2985 §5.4.2 has a sequence" },
  "100 sequences inside each other as basic constraints": {
    by: ["openssl"],
    why: "an extension is read only where somebody asks for it",
  },
  "two SAN extensions": { by: ["openssl", "@peculiar/x509"], why: twice },
  "two SAN extensions of which one is critical": {
    by: ["openssl", "@peculiar/x509"],
    why: twice,
  },
  "two key usages": { by: ["openssl", "@peculiar/x509"], why: twice },
  "two extension requests": { by: ["openssl", "@peculiar/x509"], why: twice },
  "the same extension request twice": {
    by: ["openssl", "@peculiar/x509"],
    why: twice,
  },
  "an extension request of two values": {
    by: ["openssl", "@peculiar/x509"],
    why: twice,
  },
  "an extension request of no value": {
    by: ["openssl", "@peculiar/x509"],
    why: "RFC 2986 §4.1: an attribute has a value",
  },
  "CA:TRUE with a path length of two bytes": {
    by: ["openssl", "@peculiar/x509"],
    why: "no chain is that long; it asks to be a CA anyway",
  },
  "a part of the subject with two values": { by: ["@peculiar/x509"], why: structure },
  "an EC key with a value after its curve": { by: ["@peculiar/x509"], why: structure },
  "a key of a bit less than whole bytes": { by: ["@peculiar/x509"], why: "a key is whole bytes" },
  "ECDSA with a zero more before r": {
    by: ["@peculiar/x509"],
    why: ecdsa,
  },
  "ECDSA with a length in the long form": {
    by: ["@peculiar/x509"],
    why: ecdsa,
  },
  "ECDSA with a value after s": {
    by: ["@peculiar/x509"],
    why: ecdsa,
  },
  "ECDSA with a byte after it": {
    by: ["@peculiar/x509"],
    why: ecdsa,
  },
  "an algorithm with parameters": { by: ["openssl", "@peculiar/x509"], why: "RFC 5758 §3.2: no parameters" },
  "text before it": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "text after it": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "a NUL after it": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "a private key beside it": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "two requests": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "the same request twice without a line between": {
    by: ["@peculiar/x509"],
    why: unsigned,
  },
  "headers of encryption inside": { by: ["@peculiar/x509"], why: "RFC 7468 §2 has no headers" },
  "a header inside": { by: ["@peculiar/x509"], why: "RFC 7468 §2 has no headers" },
  "a request inside a request": {
    by: ["@peculiar/x509"],
    why: unsigned,
  },
  "the label of a certificate": { by: ["@peculiar/x509"], why: label },
  "the label of a key": { by: ["@peculiar/x509"], why: label },
  "a label in lower case": { by: ["@peculiar/x509"], why: label },
  "a label with a space at its end": {
    by: ["@peculiar/x509"],
    why: label,
  },
  "white space inside of a line": { by: ["openssl"], why: "RFC 7468 §2 has white space at the ends of lines only" },
  "a byte order mark": {
    by: ["openssl", "@peculiar/x509"],
    why: unsigned,
  },
  "a space of Unicode around a line": { by: ["openssl"], why: "RFC 7468 §3 has the white space of ASCII only" },
  "base64 without a block": { by: ["@peculiar/x509"], why: "PEM is what is asked for" },
};

/** Good CSRs by their rules, with which others find fault, and why the CA does not. */
export const refusedElsewhere: Readonly<Record<string, Difference>> = {
  "spaces and tabs at the ends of lines": { by: ["@peculiar/x509"], why: "RFC 7468 §3 lets them stand there" },
};
