import { describe, expect, test } from "vitest";
import {
  certificateDer,
  ecdsaWithSha256,
  extendedKeyUsage,
  extensions,
  keyUsage,
  leafId,
  type SvidExtensions,
  subjectAltName,
} from "../../test/support/certificate-der.ts";
import { caTrue, commonName, dnsName, extension, uriName } from "../../test/support/csr.ts";
import { parseCertificate, readSvid } from "./certificate.ts";
import {
  boolean,
  contextTag,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from "./der.ts";
import { KeyUsageBit, Oid } from "./oids.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-certificate" });
const nul = tlv(Tag.null);
const one = Uint8Array.of(1);
const version = (number: number) => explicit(0, tlv(Tag.integer, Uint8Array.of(number)));
const { digitalSignature, keyEncipherment, keyCertSign, cRLSign } = KeyUsageBit;

describe("parse a certificate", () => {
  test("every field as it lies in the DER", () => {
    const der = certificateDer();
    const certificate = parseCertificate(der);
    expect(certificate).toMatchObject({
      der,
      serialNumber: "c0ffee",
      issuer: commonName("issuer"),
      subject: sequence(),
      notBefore: 1_700_000_000,
      notAfter: 1_700_003_600,
      signatureAlgorithm: Oid.ecdsaWithSha256,
      signature: Uint8Array.of(7, 7),
      basicConstraints: { isCa: false, pathLength: undefined },
      keyUsage: { critical: true, bits: [true] },
      extendedKeyUsage: [Oid.serverAuth, Oid.clientAuth],
      subjectAltName: { critical: true, uris: [leafId], dnsNames: [], others: 0 },
      subjectKeyIdentifier: "010203",
      authorityKeyIdentifier: "040506",
    });
    // The signed part is the first value inside.
    expect(sequence(certificate.tbs, ecdsaWithSha256, tlv(Tag.bitString, Uint8Array.of(0, 7, 7)))).toEqual(der);
  });

  test.each([
    { rule: "a leading zero of the number", serial: unsignedInteger(Uint8Array.of(0x0c)), text: "c" },
    { rule: "the zero before a top bit", serial: unsignedInteger(Uint8Array.of(0x80, 0)), text: "8000" },
    { rule: "zero itself", serial: unsignedInteger(Uint8Array.of(0)), text: "0" },
  ])("a serial is written without $rule", ({ serial, text }) => {
    expect(parseCertificate(certificateDer({ serial })).serialNumber).toBe(text);
  });

  test("an extension that is not there is undefined", () => {
    const none = explicit(3, sequence());
    expect(parseCertificate(certificateDer({ extensions: none }))).toMatchObject({
      basicConstraints: undefined,
      keyUsage: undefined,
      extendedKeyUsage: undefined,
      subjectAltName: undefined,
      subjectKeyIdentifier: undefined,
      authorityKeyIdentifier: undefined,
    });
  });

  test.each([
    { name: "CA without a path length", value: sequence(boolean(true)), read: { isCa: true, pathLength: undefined } },
    {
      name: "CA with a path length",
      value: sequence(boolean(true), unsignedInteger(Uint8Array.of(3))),
      read: { isCa: true, pathLength: 3 },
    },
    { name: "no CA", value: sequence(), read: { isCa: false, pathLength: undefined } },
  ])("basic constraints: $name", ({ value, read }) => {
    const basicConstraints = extension(Oid.basicConstraints, true, value);
    expect(parseCertificate(certificateDer({ extensions: extensions({ basicConstraints }) })).basicConstraints).toEqual(
      read,
    );
  });

  test("names that are no URI are counted", () => {
    const ip = tlv(0x87, Uint8Array.of(127, 0, 0, 1));
    const names = subjectAltName(false, dnsName("a"), uriName(leafId), ip, dnsName("b"), uriName("x:y"));
    const der = certificateDer({ extensions: extensions({ subjectAltName: names }) });
    expect(parseCertificate(der).subjectAltName).toEqual({
      ...{ critical: false, uris: [leafId, "x:y"], dnsNames: ["a", "b"], others: 1 },
    });
  });

  test("an authority key identifier without a key id is undefined", () => {
    const authorityKeyIdentifier = extension(
      Oid.authorityKeyIdentifier,
      false,
      sequence(tlv(contextTag(2, false), one)),
    );
    const der = certificateDer({ extensions: extensions({ authorityKeyIdentifier }) });
    expect(parseCertificate(der).authorityKeyIdentifier).toBeUndefined();
  });

  test("an unknown extension is let by, unless it is critical", () => {
    const unknown = (critical: boolean) => extension("1.2.3.4", critical, octetString(one));
    expect(parseCertificate(certificateDer({ extensions: extensions({}, unknown(false)) })).serialNumber).toBe(
      "c0ffee",
    );
    expect(() => parseCertificate(certificateDer({ extensions: extensions({}, unknown(true)) }))).toThrow(malformed);
  });

  test.each([
    { rule: "nothing", der: new Uint8Array() },
    { rule: "bytes after it", der: Uint8Array.of(...certificateDer(), 0) },
    { rule: "a value after the signature", der: certificateDer({ tail: nul }) },
    { rule: "version 1 said", der: certificateDer({ version: version(0) }) },
    { rule: "version 2", der: certificateDer({ version: version(1) }) },
    { rule: "version 4", der: certificateDer({ version: version(3) }) },
    { rule: "no version, which is version 1", der: certificateDer({ version: new Uint8Array() }) },
    {
      rule: "two signature algorithms that differ",
      der: certificateDer({ algorithms: [ecdsaWithSha256, sequence(oid(Oid.ecdsaWithSha384))] }),
    },
    {
      rule: "signature algorithms that differ only in a NULL",
      der: certificateDer({ algorithms: [ecdsaWithSha256, sequence(oid(Oid.ecdsaWithSha256), nul)] }),
    },
    { rule: "an empty signature algorithm", der: certificateDer({ algorithms: [sequence(), sequence()] }) },
    { rule: "a serial that is not minimal", der: certificateDer({ serial: tlv(Tag.integer, Uint8Array.of(0, 1)) }) },
    { rule: "a validity of one time", der: certificateDer({ validity: sequence(time(0)) }) },
    { rule: "a validity of three times", der: certificateDer({ validity: sequence(time(0), time(1), time(2)) }) },
    { rule: "a subject that is no sequence", der: certificateDer({ subject: nul }) },
    { rule: "a public key that is no sequence", der: certificateDer({ publicKey: nul }) },
    { rule: "no extensions", der: certificateDer({ extensions: new Uint8Array() }) },
    { rule: "unique identifiers (X.509 v2)", der: certificateDer({ extensions: tlv(0x81, Uint8Array.of(0, 1)) }) },
    { rule: "a value after the extensions", der: certificateDer({ tbsTail: nul }) },
    { rule: "two lists of extensions", der: certificateDer({ extensions: explicit(3, sequence(), sequence()) }) },
    { rule: "a signature that is not whole bytes", der: certificateDer({ signature: tlv(3, Uint8Array.of(1, 2)) }) },
  ])("refuse $rule", ({ der }) => {
    expect(() => parseCertificate(der)).toThrow(malformed);
  });

  const raw = (id: string, value: Uint8Array) => extension(id, false, value);
  test.each([
    { rule: "an extension twice", list: extensions({}, extension(Oid.subjectAltName, false, sequence())) },
    {
      rule: "an unknown extension twice",
      list: extensions({}, raw("1.2.3.4", nul), raw("1.2.3.4", nul)),
    },
    {
      rule: "critical FALSE said, which is the default",
      list: extensions({}, sequence(oid("1.2.3.4"), boolean(false), octetString(nul))),
    },
    { rule: "an extension without a value", list: extensions({}, sequence(oid("1.2.3.4"))) },
    { rule: "an extension with two values", list: extensions({}, sequence(oid("1.2.3.4"), octetString(nul), nul)) },
    { rule: "a value that is no octet string", list: extensions({}, sequence(oid("1.2.3.4"), nul)) },
    ...(
      [
        ["basicConstraints", sequence()],
        ["keyUsage", namedBits(0)],
        ["extendedKeyUsage", sequence(oid(Oid.serverAuth))],
        ["subjectAltName", sequence(uriName(leafId))],
        ["subjectKeyIdentifier", octetString(one)],
        ["authorityKeyIdentifier", sequence(tlv(contextTag(0, false), one))],
      ] as const
    ).map(([name, value]) => ({
      rule: `bytes after the value of ${name}`,
      list: extensions({ [name]: raw(Oid[name], Uint8Array.of(...value, ...nul)) }),
    })),
    {
      rule: "a path length over 127",
      list: extensions({
        basicConstraints: raw(Oid.basicConstraints, sequence(boolean(true), tlv(2, Uint8Array.of(0, 0x80)))),
      }),
    },
    {
      rule: "a path length before the CA flag",
      list: extensions({ basicConstraints: raw(Oid.basicConstraints, sequence(tlv(2, one), boolean(true))) }),
    },
    {
      rule: "a key usage with zeros at its end",
      list: extensions({ keyUsage: raw(Oid.keyUsage, tlv(3, Uint8Array.of(0, 0x80, 0))) }),
    },
    {
      rule: "an extended key usage that is no list of OIDs",
      list: extensions({ extendedKeyUsage: raw(Oid.extendedKeyUsage, sequence(nul)) }),
    },
    {
      rule: "a URI of very many bytes",
      list: extensions({ subjectAltName: subjectAltName(true, tlv(0x86, new Uint8Array(500_000))) }),
    },
  ])("extensions: refuse $rule", ({ list }) => {
    expect(() => parseCertificate(certificateDer({ extensions: list }))).toThrow(malformed);
  });
});

describe("read an X509-SVID", () => {
  const svid = (changes: Partial<SvidExtensions>, subject?: Uint8Array) =>
    readSvid(parseCertificate(certificateDer({ extensions: extensions(changes), ...(subject && { subject }) })));

  test.each<{ rule: string; changes: Partial<SvidExtensions>; subject?: Uint8Array }>([
    { rule: "a good one", changes: {} },
    {
      rule: "X1: other names beside the URI",
      changes: { subjectAltName: subjectAltName(true, dnsName("a"), uriName(leafId)) },
    },
    {
      rule: "X2: a SAN that is not critical where there is a subject",
      changes: { subjectAltName: subjectAltName(false, uriName(leafId)) },
      subject: commonName("x"),
    },
    { rule: "X2: no basic constraints", changes: { basicConstraints: undefined } },
    { rule: "X3: keyEncipherment too", changes: { keyUsage: keyUsage(digitalSignature, keyEncipherment) } },
    { rule: "X4: no extended key usage", changes: { extendedKeyUsage: undefined } },
    {
      rule: "X4: further extended key usages",
      changes: { extendedKeyUsage: extendedKeyUsage("1.2.3", Oid.clientAuth, Oid.serverAuth) },
    },
  ])("take $rule", ({ changes, subject }) => {
    expect(svid(changes, subject).toString()).toBe(leafId);
  });

  test.each<{ rule: string; changes: Partial<SvidExtensions>; subject?: Uint8Array; code?: string }>([
    { rule: "X1: no SAN", changes: { subjectAltName: undefined } },
    { rule: "X1: a SAN without a URI", changes: { subjectAltName: subjectAltName(true, dnsName("a")) } },
    {
      rule: "X1: two URIs",
      changes: { subjectAltName: subjectAltName(true, uriName(leafId), uriName("spiffe://a/b")) },
    },
    {
      rule: "X1: the same URI twice",
      changes: { subjectAltName: subjectAltName(true, uriName(leafId), uriName(leafId)) },
    },
    {
      rule: "X1: a URI that is no SPIFFE ID",
      changes: { subjectAltName: subjectAltName(true, uriName("https://a/b")) },
      code: "malformed-spiffe-id",
    },
    {
      rule: "X2: a SPIFFE ID without a path",
      changes: { subjectAltName: subjectAltName(true, uriName("spiffe://cluster.local")) },
    },
    { rule: "X2: cA TRUE", changes: { basicConstraints: caTrue } },
    {
      rule: "X2: a SAN that is not critical where the subject is empty",
      changes: { subjectAltName: subjectAltName(false, uriName(leafId)) },
    },
    { rule: "X3: no key usage", changes: { keyUsage: undefined } },
    {
      rule: "X3: a key usage that is not critical",
      changes: { keyUsage: extension(Oid.keyUsage, false, namedBits(0)) },
    },
    { rule: "X3: no digitalSignature", changes: { keyUsage: keyUsage(keyEncipherment) } },
    { rule: "X3: keyCertSign", changes: { keyUsage: keyUsage(digitalSignature, keyCertSign) } },
    { rule: "X3: cRLSign", changes: { keyUsage: keyUsage(digitalSignature, cRLSign) } },
    { rule: "X4: serverAuth alone", changes: { extendedKeyUsage: extendedKeyUsage(Oid.serverAuth) } },
    { rule: "X4: clientAuth alone", changes: { extendedKeyUsage: extendedKeyUsage(Oid.clientAuth) } },
    { rule: "X4: neither", changes: { extendedKeyUsage: extendedKeyUsage("1.2.3") } },
    {
      rule: "X5: a signing certificate",
      changes: {
        basicConstraints: caTrue,
        keyUsage: keyUsage(keyCertSign),
        subjectAltName: subjectAltName(false, uriName("spiffe://cluster.local")),
      },
      subject: commonName("CA"),
    },
  ])("refuse $rule", ({ changes, subject, code = "malformed-certificate" }) => {
    expect(() => svid(changes, subject)).toThrow(expect.objectContaining({ code }));
  });
});
