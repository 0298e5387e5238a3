import { toHex } from "./base64.ts";
import { contextTag, DerReader, Tag } from "./der.ts";
import { asSignetError, SignetError } from "./errors.ts";
import { KeyUsageBit, Oid } from "./oids.ts";
import { SpiffeId } from "./spiffe-id.ts";

/** What Signet needs to know of an X.509 v3 certificate (RFC 5280 §4.1), as it lies in the DER. */
export interface ParsedCertificate {
  readonly der: Uint8Array;
  /** The signed part. */
  readonly tbs: Uint8Array;
  /** Lower-case hex without leading zeros. */
  readonly serialNumber: string;
  /** DER of the Name. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Seconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** Undefined where the extension is missing. */
  readonly basicConstraints: { readonly isCa: boolean; readonly pathLength: number | undefined } | undefined;
  readonly keyUsage: { readonly critical: boolean; readonly bits: readonly boolean[] } | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: ({ readonly critical: boolean } & GeneralNames) | undefined;
  readonly subjectKeyIdentifier: string | undefined;
  readonly authorityKeyIdentifier: string | undefined;
}

/** What a GeneralNames value (RFC 5280 §4.2.1.6) says. */
export interface GeneralNames {
  readonly uris: readonly string[];
  /** As they stand, in whatever case. */
  readonly dnsNames: readonly string[];
  /** How many names of other kinds there are. */
  readonly others: number;
}

/**
 * Reads a certificate strictly. Extensions that are not listed in {@link ParsedCertificate} are allowed unless critical.
 * @throws SignetError `malformed-certificate`
 */
export function parseCertificate(der: Uint8Array): ParsedCertificate {
  try {
    return read(der);
  } catch (error) {
    throw new SignetError("malformed-certificate", `certificate: ${asSignetError(error, "malformed-der").message}`, {
      cause: error,
    });
  }
}

function read(der: Uint8Array): ParsedCertificate {
  const whole = new DerReader(der);
  const certificate = whole.enter();
  whole.end();
  const { bytes: tbsBytes, contents } = certificate.expect(Tag.sequence);
  const algorithm = certificate.expect(Tag.sequence);
  const signature = certificate.bitString();
  certificate.end();

  const tbs = new DerReader(contents);
  const version = tbs.enter(contextTag(0, true));
  if (version.smallInteger() !== 2) throw new SignetError("malformed-certificate", "it is not X.509 version 3");
  version.end();
  const serial = tbs.integer();
  if (!sameBytes(tbs.expect(Tag.sequence).bytes, algorithm.bytes)) {
    throw new SignetError("malformed-certificate", "its two signature algorithms differ");
  }
  const issuer = tbs.expect(Tag.sequence).bytes;
  const validity = tbs.enter();
  const notBefore = validity.time();
  const notAfter = validity.time();
  validity.end();
  const subject = tbs.expect(Tag.sequence).bytes;
  const publicKey = tbs.expect(Tag.sequence).bytes;
  const extensions = readExtensions(tbs.enter(contextTag(3, true)));
  tbs.end();
  return {
    der,
    tbs: tbsBytes,
    serialNumber: toHex(serial).replace(/^0+(?=.)/, ""),
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    signatureAlgorithm: new DerReader(algorithm.contents).oid(),
    signature,
    ...extensions,
  };
}

type Extensions = Pick<
  ParsedCertificate,
  | "basicConstraints"
  | "keyUsage"
  | "extendedKeyUsage"
  | "subjectAltName"
  | "subjectKeyIdentifier"
  | "authorityKeyIdentifier"
>;
type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function readExtensions(wrapper: DerReader): Extensions {
  const list = wrapper.enter();
  wrapper.end();
  const seen = new Set<string>();
  const found: Writable<Extensions> = {
    basicConstraints: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    subjectAltName: undefined,
    subjectKeyIdentifier: undefined,
    authorityKeyIdentifier: undefined,
  };
  while (!list.done) {
    const { id, critical, value } = readExtension(list);
    if (seen.has(id)) throw new SignetError("malformed-certificate", `extension ${id} stands twice`);
    seen.add(id);
    const body = new DerReader(value);
    if (id === Oid.basicConstraints) found.basicConstraints = readBasicConstraints(body);
    else if (id === Oid.keyUsage) found.keyUsage = { critical, bits: only(body, body.namedBits()) };
    else if (id === Oid.extendedKeyUsage) found.extendedKeyUsage = readOids(body);
    else if (id === Oid.subjectAltName) found.subjectAltName = { critical, ...readSubjectAltName(body) };
    else if (id === Oid.subjectKeyIdentifier) found.subjectKeyIdentifier = toHex(only(body, body.octetString()));
    else if (id === Oid.authorityKeyIdentifier) found.authorityKeyIdentifier = readAuthorityKeyIdentifier(body);
    else if (critical) throw new SignetError("malformed-certificate", `critical extension ${id} is not known`);
  }
  return found;
}

/** The one value of a body, after which nothing may follow. */
function only<T>(body: DerReader, value: T): T {
  body.end();
  return value;
}

/** One Extension (RFC 5280 §4.1.2.9); an encoded default `critical FALSE` is not DER and refused. */
export function readExtension(list: DerReader): { id: string; critical: boolean; value: Uint8Array } {
  const extension = list.enter();
  const id = extension.oid();
  const critical = extension.peek() === Tag.boolean;
  if (critical && !extension.boolean()) {
    throw new SignetError("malformed-der", `extension ${id} says that it is not critical, which is the default`);
  }
  const value = extension.octetString();
  extension.end();
  return { id, critical, value };
}

/** BasicConstraints (RFC 5280 §4.2.1.9); an encoded default `cA FALSE` is not DER (X.690 §11.5) and refused. */
export function readBasicConstraints(body: DerReader): { isCa: boolean; pathLength: number | undefined } {
  const constraints = body.enter();
  body.end();
  const isCa = constraints.peek() === Tag.boolean;
  if (isCa && !constraints.boolean()) {
    throw new SignetError("malformed-der", "basic constraints say that it is no CA, which is the default");
  }
  const pathLength = constraints.peek() === Tag.integer ? constraints.smallInteger() : undefined;
  constraints.end();
  return { isCa, pathLength };
}

export function readOids(body: DerReader): string[] {
  const list = body.enter();
  body.end();
  const oids: string[] = [];
  while (!list.done) oids.push(list.oid());
  return oids;
}

const dnsName = contextTag(2, false);
const uriName = contextTag(6, false);

export function readSubjectAltName(body: DerReader): GeneralNames {
  const names = body.enter();
  body.end();
  const uris: string[] = [];
  const dnsNames: string[] = [];
  let others = 0;
  while (!names.done) {
    const { tag, contents } = names.any();
    if (tag === uriName) uris.push(String.fromCharCode(...contents));
    else if (tag === dnsName) dnsNames.push(String.fromCharCode(...contents));
    else others++;
  }
  return { uris, dnsNames, others };
}

function readAuthorityKeyIdentifier(body: DerReader): string | undefined {
  const identifier = only(body, body.enter());
  const keyId = identifier.optional(contextTag(0, false));
  return keyId === undefined ? undefined : toHex(keyId.contents);
}

/**
 * The SPIFFE ID of a leaf that keeps the rules of X509-SVID §2 to §5 for leaves.
 * @throws SignetError `malformed-certificate` naming the rule that it breaks
 */
export function readSvid(leaf: ParsedCertificate): SpiffeId {
  const broken = (rule: string) => new SignetError("malformed-certificate", `not an X509-SVID: ${rule}`);
  const { subjectAltName, keyUsage, extendedKeyUsage, basicConstraints } = leaf;
  const [uri, ...more] = subjectAltName?.uris ?? [];
  if (uri === undefined || more.length > 0) throw broken("exactly one URI SAN is required");
  const id = SpiffeId.parse(uri);
  if (id.path === "") throw broken("its SPIFFE ID has no path");
  const emptyName = leaf.subject.length === 2;
  if (emptyName && subjectAltName?.critical !== true)
    throw broken("the SAN must be critical where there is no subject");
  if (basicConstraints?.isCa === true) throw broken("it is a CA");
  if (keyUsage?.critical !== true) throw broken("key usage must be there and critical");
  if (keyUsage.bits[KeyUsageBit.digitalSignature] !== true) throw broken("key usage lacks digitalSignature");
  if (keyUsage.bits[KeyUsageBit.keyCertSign] === true || keyUsage.bits[KeyUsageBit.cRLSign] === true) {
    throw broken("key usage has keyCertSign or cRLSign");
  }
  const usages = extendedKeyUsage ?? [Oid.serverAuth, Oid.clientAuth];
  if (!usages.includes(Oid.serverAuth) || !usages.includes(Oid.clientAuth)) {
    throw broken("extended key usage must have both serverAuth and clientAuth");
  }
  return id;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
