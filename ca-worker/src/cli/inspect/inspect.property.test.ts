import { SignetError } from "@signet/shared/errors";
import { decodePem, encodePem } from "@signet/shared/pem";
import { clean } from "@signet/shared/terminal/text";
import fc from "fast-check";
import { expect, test } from "vitest";
import { certificateDer } from "../../../../test/support/certificate-der.ts";
import { makeCsr } from "../../../../test/support/csr.ts";
import { mutation } from "../../../../test/support/mutation.ts";
import { inspect } from "./inspect.ts";
import { renderSections } from "./report.ts";

const now = 1_700_000_100;

/** Either sections that a terminal can show, or an error of ours: whatever the bytes are. */
async function holds(bytes: Uint8Array): Promise<void> {
  try {
    const sections = await inspect(bytes, "it", now);
    for (const line of renderSections(sections).split("\n")) expect(clean(line)).toBe(line);
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    expect(error.code).toMatch(/^malformed-/);
  }
}

const certificate = certificateDer();
const csr = decodePem(makeCsr())[0]?.der ?? new Uint8Array();
const text = new TextEncoder();
const token = `${["eyJhbGciOiJFUzI1NiJ9", Buffer.from('{"sub":"spiffe://a/b","aud":["a"],"exp":1}').toString("base64url")].join(".")}.AQ`;
const bundle = JSON.stringify({
  spiffe_sequence: 1,
  keys: [{ kty: "EC", use: "x509-svid", x5c: [Buffer.from(certificate).toString("base64")] }],
});
const samples = [
  certificate,
  csr,
  ...[encodePem("CERTIFICATE", certificate) + encodePem("CERTIFICATE REQUEST", csr), token, bundle].map((one) =>
    text.encode(one),
  ),
];

test("whatever is spoilt in what is known is shown or refused", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...samples), mutation, (sample, spoil) => holds(spoil(Uint8Array.from(sample)))),
    { numRuns: 1_500 },
  );
});

test("whatever stands in a document is shown or refused", async () => {
  const names = [
    "keys",
    "certificateChain",
    "trustDomain",
    "roots",
    "trust_domains",
    "type",
    "sequence",
    "spiffeId",
    "kty",
    "use",
    "x5c",
    "kid",
  ];
  const values = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("urn:signet:problem:a", "x509-svid", "EC", [{}], [{ use: "x509-svid" }], { a: {} }),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), values), (document) =>
      holds(text.encode(JSON.stringify(document))),
    ),
    { numRuns: 1_500 },
  );
});

test("whatever stands in a token is shown or refused", async () => {
  const names = fc.constantFrom("alg", "typ", "kid", "sub", "aud", "exp", "iat", "nbf", "iss", "kubernetes.io");
  const parts = fc.dictionary(names, fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant("spiffe://a/b"), fc.double()));
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  await fc.assert(
    fc.asyncProperty(parts, parts, (header, payload) => holds(text.encode(`${encode(header)}.${encode(payload)}.AQ`))),
    { numRuns: 1_500 },
  );
});
