import {
  boolean,
  contextTag,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  tlv,
} from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import {
  attribute,
  caTrue,
  commonName,
  dnsName,
  extension,
  ipName,
  mailName,
  publicKeyDer,
  rdn,
  uriName,
} from "../csr.ts";
import {
  bytes,
  csr,
  extending,
  naming,
  namingOwn,
  type Oddity,
  ownId,
  requesting,
  sampleKey,
  type Trick,
  version,
} from "./build.ts";

const malformed = "malformed-csr" as const;
const refused = "csr-not-allowed" as const;
const san = extension(Oid.subjectAltName, false, sequence(uriName(ownId)));
const critical = extension(Oid.subjectAltName, true, sequence(uriName(ownId)));
const request = (...values: Uint8Array[]) => sequence(oid(Oid.extensionRequest), setOf(...values));
const uri = (...values: number[]) => tlv(contextTag(6, false), bytes(...values));
const text = (value: string) => tlv(Tag.utf8String, new TextEncoder().encode(value));

/** What a CSR asks for, in ways that another reader could take otherwise, or that Signet never grants. */
export const contentTricks: readonly Trick[] = [
  { rule: "two SAN extensions", code: malformed, pem: () => csr({ attributes: requesting(san, san) }) },
  {
    rule: "two SAN extensions of which one is critical",
    code: malformed,
    pem: () => csr({ attributes: requesting(critical, san) }),
  },
  {
    rule: "two key usages",
    code: malformed,
    pem: () => csr({ attributes: requesting(...Array(2).fill(extension(Oid.keyUsage, true, namedBits(0)))) }),
  },
  {
    rule: "two extension requests",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, request(sequence(san)), request(sequence())) }),
  },
  {
    rule: "the same extension request twice",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, request(sequence(san)), request(sequence(san))) }),
  },
  {
    rule: "an extension request of two values",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, request(sequence(san), sequence())) }),
  },
  {
    rule: "an extension request of no value",
    code: malformed,
    pem: () => csr({ attributes: explicit(0, request()) }),
  },
  {
    rule: "Microsoft's extension request beside the standard one",
    code: refused,
    pem: () =>
      csr({
        attributes: explicit(
          0,
          request(sequence(san)),
          sequence(oid("1.3.6.1.4.1.311.2.1.14"), setOf(sequence(caTrue))),
        ),
      }),
  },
  {
    rule: "a challenge password",
    code: refused,
    pem: () => csr({ attributes: explicit(0, attribute("1.2.840.113549.1.9.7", "secret")) }),
  },
  {
    rule: "the same attribute that nobody knows twice",
    code: refused,
    pem: () => csr({ attributes: explicit(0, attribute("1.2.3.4", "a"), attribute("1.2.3.4", "a")) }),
  },
  { rule: "its own ID twice", code: refused, pem: () => csr({ attributes: naming(uriName(ownId), uriName(ownId)) }) },
  {
    rule: "its own ID and another",
    code: refused,
    pem: () => csr({ attributes: naming(uriName(ownId), uriName("spiffe://cluster.local/ns/foo/sa/admin")) }),
  },
  {
    rule: "a DNS name beside its own ID",
    code: refused,
    pem: () => csr({ attributes: naming(uriName(ownId), dnsName("admin.foo.svc")) }),
  },
  { rule: "a DNS name alone", code: refused, pem: () => csr({ attributes: naming(dnsName("*")) }) },
  { rule: "a mail address", code: refused, pem: () => csr({ attributes: naming(mailName("root@example.com")) }) },
  { rule: "an IP address", code: refused, pem: () => csr({ attributes: naming(ipName(127, 0, 0, 1)) }) },
  {
    rule: "a directory name",
    code: refused,
    pem: () => csr({ attributes: naming(tlv(contextTag(4, true), commonName("admin"))) }),
  },
  {
    rule: "a name of another kind (UPN)",
    code: refused,
    pem: () =>
      csr({
        attributes: naming(
          tlv(contextTag(0, true), oid("1.3.6.1.4.1.311.20.2.3"), explicit(0, text("admin@example.com"))),
        ),
      }),
  },
  {
    rule: "a registered ID",
    code: refused,
    pem: () => csr({ attributes: naming(tlv(contextTag(8, false), bytes(0x2a, 0x03))) }),
  },
  {
    rule: "a name under a tag that nobody knows",
    code: refused,
    pem: () => csr({ attributes: naming(tlv(contextTag(9, false), bytes(0x61))) }),
  },
  {
    rule: "its own ID in a constructed string",
    code: refused,
    pem: () => csr({ attributes: naming(tlv(contextTag(6, true), octetString(new TextEncoder().encode(ownId)))) }),
  },
  { rule: "an empty URI", code: refused, pem: () => csr({ attributes: naming(uri()) }) },
  {
    rule: "its own ID with a NUL and more",
    code: refused,
    pem: () => csr({ attributes: naming(uriName(`${ownId}\0.example.com`)) }),
  },
  { rule: "a NUL before its own ID", code: refused, pem: () => csr({ attributes: naming(uriName(`\0${ownId}`)) }) },
  {
    rule: "its own ID in UTF-16",
    code: refused,
    pem: () => csr({ attributes: naming(uri(...[...ownId].flatMap((letter) => [0, letter.charCodeAt(0)]))) }),
  },
  {
    rule: "its own ID with a letter that is not ASCII",
    code: refused,
    pem: () => csr({ attributes: naming(uriName(ownId.replace("sleep", "sl\u0435ep"))) }),
  },
  {
    rule: "8 KB of URI",
    code: refused,
    pem: () => csr({ attributes: naming(uriName(`spiffe://cluster.local/${"x".repeat(8_000)}`)) }),
  },
  {
    rule: "2,000 URIs",
    code: refused,
    pem: () => csr({ attributes: naming(...Array<Uint8Array>(2_000).fill(uri(0x61))) }),
  },
  {
    rule: "an issuer's alternative name",
    code: refused,
    pem: () => csr({ attributes: extending("2.5.29.18", sequence(uriName(ownId))) }),
  },
  { rule: "CA:TRUE", code: refused, pem: () => csr({ attributes: requesting(caTrue) }) },
  { rule: "CA:TRUE beside its own ID", code: refused, pem: () => csr({ attributes: requesting(san, caTrue) }) },
  {
    rule: "a path length without CA:TRUE",
    code: refused,
    pem: () => csr({ attributes: extending(Oid.basicConstraints, sequence(tlv(Tag.integer, bytes(0)))) }),
  },
  {
    rule: "CA:TRUE with a path length of two bytes",
    code: malformed,
    pem: () =>
      csr({ attributes: extending(Oid.basicConstraints, sequence(boolean(true), tlv(Tag.integer, bytes(1, 0)))) }),
  },
  ...[KeyUsageBit.keyCertSign, KeyUsageBit.cRLSign, KeyUsageBit.keyEncipherment, 1, 3, 4, 7, 8].map(
    (bit): Trick => ({
      rule: `key usage bit ${bit}`,
      code: refused,
      pem: () => csr({ attributes: extending(Oid.keyUsage, namedBits(0, bit)) }),
    }),
  ),
  {
    rule: "any extended key usage",
    code: refused,
    pem: () => csr({ attributes: extending(Oid.extendedKeyUsage, sequence(oid("2.5.29.37.0"))) }),
  },
  {
    rule: "code signing beside serverAuth",
    code: refused,
    pem: () =>
      csr({ attributes: extending(Oid.extendedKeyUsage, sequence(oid(Oid.serverAuth), oid("1.3.6.1.5.5.7.3.3"))) }),
  },
  { rule: "name constraints", code: refused, pem: () => csr({ attributes: extending("2.5.29.30", sequence()) }) },
  {
    rule: "an authority key identifier",
    code: refused,
    pem: () => csr({ attributes: extending(Oid.authorityKeyIdentifier, sequence()) }),
  },
  {
    rule: "a subject key identifier",
    code: refused,
    pem: () => csr({ attributes: extending(Oid.subjectKeyIdentifier, octetString(bytes(1))) }),
  },
  {
    rule: "a critical extension that nobody knows",
    code: refused,
    pem: () => csr({ attributes: requesting(extension("1.2.3.4", true, sequence())) }),
  },
  {
    rule: "a mail address in the subject",
    code: refused,
    pem: () => csr({ subject: rdn(Oid.emailAddress, "root@example.com") }),
  },
  {
    rule: "a mail address as the last of 300 parts of the subject",
    code: refused,
    pem: () =>
      csr({
        subject: sequence(
          ...Array(299).fill(setOf(sequence(oid("2.5.4.3"), text("a")))),
          setOf(sequence(oid(Oid.emailAddress), text("a"))),
        ),
      }),
  },
  { rule: "a subject that is a set", code: malformed, pem: () => csr({ subject: setOf() }) },
  {
    rule: "a part of the subject without a value",
    code: malformed,
    pem: () => csr({ subject: sequence(setOf(sequence(oid("2.5.4.3")))) }),
  },
  {
    rule: "a part of the subject with two values",
    code: malformed,
    pem: () => csr({ subject: sequence(setOf(sequence(oid("2.5.4.3"), text("a"), text("b")))) }),
  },
];

/** What is unusual, and of no harm. */
export const contentOddities: readonly Oddity[] = [
  { rule: "an empty subject", pem: () => csr({ subject: sequence() }) },
  {
    rule: "a subject of 6 KB",
    pem: () => csr({ subject: commonName("x".repeat(6_000)) }),
  },
  {
    rule: "a subject of 300 parts",
    pem: () => csr({ subject: sequence(...Array(300).fill(setOf(sequence(oid("2.5.4.3"), text("a"))))) }),
  },
  {
    rule: "a subject that names another workload",
    pem: () => csr({ subject: commonName("spiffe://cluster.local/ns/foo/sa/admin") }),
  },
  { rule: "a subject with a NUL", pem: () => csr({ subject: commonName("a\0b") }) },
  {
    rule: "a subject in a string type that nobody knows",
    pem: () => csr({ subject: sequence(setOf(sequence(oid("2.5.4.3"), tlv(0x1d, bytes(0x61))))) }),
  },
  {
    rule: "no attributes, not even an empty set of them",
    pem: () => csr({ info: sequence(version, sequence(), publicKeyDer(sampleKey)) }),
  },
  { rule: "its own ID in a critical SAN", pem: () => csr({ attributes: requesting(critical) }) },
  { rule: "its own ID", pem: () => csr({ attributes: namingOwn }) },
  { rule: "a SAN without names", pem: () => csr({ attributes: naming() }) },
  { rule: "an extension request without extensions", pem: () => csr({ attributes: requesting() }) },
  {
    rule: "CA:FALSE as its default, left out",
    pem: () => csr({ attributes: extending(Oid.basicConstraints, sequence()) }),
  },
  {
    rule: "both extended key usages, each twice",
    pem: () =>
      csr({
        attributes: extending(
          Oid.extendedKeyUsage,
          sequence(...[Oid.serverAuth, Oid.clientAuth, Oid.serverAuth, Oid.clientAuth].map(oid)),
        ),
      }),
  },
  { rule: "digitalSignature", pem: () => csr({ attributes: extending(Oid.keyUsage, namedBits(0)) }) },
];
