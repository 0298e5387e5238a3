import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { certificateDer } from "../../test/support/certificate-der.ts";
import { mutation } from "../../test/support/mutation.ts";
import { fromBase64Url, toBase64Url } from "./base64.ts";
import { parseCertificate, readSvid } from "./certificate.ts";
import { DerReader, ecdsaSignatureToRaw, oid, sequence, time, unsignedInteger } from "./der.ts";
import { SignetError, type SignetErrorCode } from "./errors.ts";
import { decodePem, decodeSinglePem, encodePem } from "./pem.ts";
import { decodeTokenParts, decodeTokenUnverified, readServiceAccountClaims } from "./service-account.ts";
import { SpiffeId } from "./spiffe-id.ts";

/** What `read` gives, or undefined when it throws a SignetError of one of these codes; anything else thrown fails. */
function valueOrError<T>(read: () => T, ...codes: readonly SignetErrorCode[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SignetError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

const bytes = fc.uint8Array({ maxLength: 300 });
const none = new Uint8Array();

describe("property: foreign bytes become a value or an error of ours", () => {
  let certificates: readonly Uint8Array<ArrayBuffer>[];
  beforeAll(() => {
    const pem = (...key: string[]) =>
      execFileSync(
        "openssl",
        ["req", "-x509", "-newkey", ...key, "-nodes", "-keyout", "/dev/null", "-subj", "/O=Signet/CN=a", "-days", "2"],
        { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
      );
    certificates = [
      certificateDer(),
      decodeSinglePem(pem("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ["CERTIFICATE"]),
      decodeSinglePem(pem("rsa:2048"), ["CERTIFICATE"]),
      decodeSinglePem(pem("ed25519"), ["CERTIFICATE"]),
    ];
  });

  const steps = [
    (reader: DerReader) => reader.any(),
    (reader: DerReader) => reader.enter(),
    (reader: DerReader) => reader.boolean(),
    (reader: DerReader) => reader.integer(),
    (reader: DerReader) => reader.smallInteger(),
    (reader: DerReader) => reader.oid(),
    (reader: DerReader) => reader.bitString(),
    (reader: DerReader) => reader.namedBits(),
    (reader: DerReader) => reader.octetString(),
    (reader: DerReader) => reader.time(),
    (reader: DerReader) => reader.end(),
    (reader: DerReader) => reader.optional(0x30),
  ];

  /** Reads value after value, going into each, and calls every method at every place. */
  function walk(contents: Uint8Array, left: { steps: number }): void {
    const reader = new DerReader(contents);
    let length = 0;
    while (!reader.done && left.steps-- > 0) {
      const rest = contents.subarray(length);
      for (const step of steps) valueOrError(() => step(new DerReader(rest)), "malformed-der");
      const value = valueOrError(() => reader.any(), "malformed-der");
      if (value === undefined) return;
      length += value.bytes.length;
      expect(value.bytes.subarray(value.bytes.length - value.contents.length)).toEqual(value.contents);
      walk(value.contents, left);
    }
  }

  test("DerReader: a walk over any bytes and over spoilt certificates", () => {
    const spoilt = fc.tuple(fc.nat(3), mutation).map(([which, spoil]) => spoil(certificates[which] ?? none));
    fc.assert(
      fc.property(fc.oneof(bytes, spoilt), (der) => walk(der, { steps: 100 })),
      { numRuns: 300 },
    );
  });

  test("parseCertificate and readSvid over spoilt certificates", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.nat(3), mutation, (which, spoil) => {
        const der = spoil(certificates[which] ?? none);
        const certificate = valueOrError(() => parseCertificate(der), "malformed-certificate");
        if (certificate === undefined) return;
        accepted++;
        expect(certificate.notBefore).toSatisfy(Number.isSafeInteger);
        expect(certificate.serialNumber).toMatch(/^(?:0|[1-9a-f][0-9a-f]*)$/);
        const id = valueOrError(() => readSvid(certificate), "malformed-certificate", "malformed-spiffe-id");
        if (id !== undefined) expect(id.path).not.toBe("");
      }),
      { numRuns: 2_500 },
    );
    // A change within a name, a key or a signature leaves a certificate; all refused would test little.
    expect(accepted).toBeGreaterThan(100);
  });

  test("parseCertificate over any bytes", () => {
    fc.assert(
      fc.property(bytes, (der) => {
        valueOrError(() => parseCertificate(der), "malformed-certificate");
      }),
      { numRuns: 500 },
    );
  });

  test("ecdsaSignatureToRaw over any bytes and nearly good ones", () => {
    const number = fc.uint8Array({ maxLength: 40 }).map(unsignedInteger);
    const nearly = fc.tuple(number, number, mutation).map(([r, s, spoil]) => spoil(sequence(r, s)));
    fc.assert(
      fc.property(fc.oneof(bytes, nearly), (der) => {
        const raw = valueOrError(() => ecdsaSignatureToRaw(der, 32), "malformed-der");
        if (raw !== undefined) expect(raw).toHaveLength(64);
      }),
      { numRuns: 2_000 },
    );
  });

  test("decodePem over any text and spoilt blocks; what is read is written and read again", () => {
    const line = fc.oneof(
      fc.constantFrom(
        "-----BEGIN A-----",
        "-----END A-----",
        "-----BEGIN B-----",
        "-----END B-----",
        "",
        " ",
        "AQID",
        "BA==",
      ),
      fc.string({ maxLength: 20 }),
    );
    const lines = fc.array(line, { maxLength: 8 }).map((list) => list.join("\n"));
    const spoilt = fc.tuple(bytes, mutation).map(([der, spoil]) => {
      const text = new TextEncoder().encode(encodePem("CERTIFICATE", der));
      return new TextDecoder("latin1").decode(spoil(text));
    });
    const loose = fc
      .array(
        fc.tuple(fc.constantFrom("A", "X B"), fc.uint8Array({ minLength: 1 }), fc.constantFrom("\n", "\r\n", " \n\n")),
        {
          minLength: 1,
          maxLength: 3,
        },
      )
      .map((list) => list.map(([label, der, end]) => encodePem(label, der).replaceAll("\n", end)).join(""));
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(lines, spoilt, loose, fc.string()), (text) => {
        const blocks = valueOrError(() => decodePem(text), "malformed-pem");
        if (blocks === undefined) return;
        accepted++;
        expect(decodePem(blocks.map(({ label, der }) => encodePem(label, der)).join(""))).toEqual(blocks);
      }),
      { numRuns: 1_500 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test("SpiffeId.parse: what is read is written the same way, but for the case of scheme and trust domain", () => {
    const part = fc.string({
      unit: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom("a", "Z", "0", ".", "-", "_") },
        { weight: 1, arbitrary: fc.constantFrom("/", "%", ":", "@", "\u212a", "\u0130", "\u00e4") },
      ),
      minLength: 1,
      maxLength: 6,
    });
    const nearly = fc
      .tuple(
        fc.constantFrom("spiffe://", "SPIFFE://", "spiffe:/", "https://", ""),
        part,
        fc.array(part, { maxLength: 3 }),
      )
      .map(([scheme, name, path]) => [scheme + name, ...path].join("/"));
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string(), fc.webUrl()), (text) => {
        const id = valueOrError(() => SpiffeId.parse(text), "malformed-spiffe-id");
        if (id === undefined) return;
        accepted++;
        const [, , name = "", ...path] = text.split("/");
        expect(text).toMatch(/^[\x21-\x7e]*$/);
        expect(id.toString()).toBe(["spiffe:/", name.toLowerCase(), ...path].join("/"));
        expect(SpiffeId.parse(id.toString()).equals(id)).toBe(true);
      }),
      { numRuns: 2_500 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test("readServiceAccountClaims over any value and nearly good ones", () => {
    const account = { namespace: "foo", pod: { name: "p", uid: "u" }, serviceaccount: { name: "sleep", uid: "u" } };
    const good: Readonly<Record<string, unknown>> = {
      iss: "i",
      aud: ["a"],
      sub: "system:serviceaccount:foo:sleep",
      iat: 1,
      nbf: 1,
      exp: 2,
      "kubernetes.io": account,
    };
    const nearly = fc
      .tuple(fc.constantFrom(...Object.keys(good)), fc.constantFrom(...Object.keys(account)), fc.jsonValue(), fc.nat(2))
      .map(([claim, part, value, where]) => {
        if (where === 0) return good;
        if (where === 1) return { ...good, [claim]: value };
        return { ...good, "kubernetes.io": { ...account, [part]: value } };
      });
    fc.assert(
      fc.property(fc.oneof(nearly, fc.anything(), fc.jsonValue()), (payload) => {
        const claims = valueOrError(() => readServiceAccountClaims(payload), "malformed-token");
        if (claims !== undefined) {
          expect(claims.subject).toBe(`system:serviceaccount:${claims.namespace}:${claims.serviceAccount}`);
        }
      }),
      { numRuns: 1_500 },
    );
  });

  test("decodeTokenParts over any text and spoilt tokens; its parts are the text's own bytes", () => {
    const text = (value: unknown) => toBase64Url(new TextEncoder().encode(JSON.stringify(value)));
    const spoilt = fc.tuple(fc.jsonValue(), mutation).map(([payload, spoil]) => {
      const token = `${text({ alg: "RS256" })}.${text(payload)}.AQIDBA`;
      return new TextDecoder("latin1").decode(spoil(new TextEncoder().encode(token)));
    });
    const dotted = fc.array(fc.string({ maxLength: 6 }), { maxLength: 5 }).map((parts) => parts.join("."));
    fc.assert(
      fc.property(fc.oneof(spoilt, dotted, fc.string()), (token) => {
        const parts = valueOrError(() => decodeTokenParts(token), "malformed-token");
        valueOrError(() => decodeTokenUnverified(token), "malformed-token");
        if (parts === undefined) return;
        expect(`${parts.signed}.${toBase64Url(parts.signature)}`).toBe(token);
        const payload = fromBase64Url(parts.signed.split(".")[1] ?? "") ?? none;
        expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(parts.payload);
      }),
      { numRuns: 1_500 },
    );
  });
});

describe("property: what is written in DER is read back", () => {
  test("object identifiers", () => {
    const arc = fc.oneof(fc.nat(300), fc.nat(0xffff_ffff));
    const dotted = fc
      .tuple(fc.nat(2), fc.nat(39), fc.array(arc, { maxLength: 6 }))
      .map(([top, second, rest]) => [top, second, ...rest].join("."));
    fc.assert(
      fc.property(dotted, (text) => {
        const reader = new DerReader(oid(text));
        expect(reader.oid()).toBe(text);
        reader.end();
      }),
    );
  });

  test("times from 1950 to 9999", () => {
    const [first, last] = ["1950-01-01T00:00:00Z", "9999-12-31T23:59:59Z"].map((iso) => Date.parse(iso) / 1000);
    fc.assert(
      fc.property(fc.integer({ min: first as number, max: last as number }), (seconds) => {
        expect(new DerReader(time(seconds)).time()).toBe(seconds);
      }),
      { numRuns: 500 },
    );
  });

  test("unsigned integers, without the zeros in front", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (number) => {
        const read = new DerReader(unsignedInteger(number)).integer();
        const hex = (some: Uint8Array) => BigInt(`0x0${Buffer.from(some).toString("hex")}`);
        expect(hex(read)).toBe(hex(number));
        expect((read[0] ?? 0) < 0x80).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
