import { readBasicConstraints, readExtension, readOids, readSubjectAltName } from "@signet/shared/certificate";
import { contextTag, DerReader, Tag } from "@signet/shared/der";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { Oid } from "@signet/shared/oids";
import { decodeSinglePem } from "@signet/shared/pem";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { Crypto, HashName } from "../crypto.ts";
import { leafKeyUsage, type ParsedCsr } from "../types.ts";
import { readPublicKey } from "./public-key.ts";

// The second label is what older Microsoft and Java tools write (RFC 7468 §7).
const csrLabels = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

const signatureAlgorithms: Readonly<
  Record<string, { hash: HashName; kinds: readonly PublicKeyKind[]; nullParameter?: true }>
> = {
  [Oid.ecdsaWithSha256]: { hash: "SHA-256", kinds: ["p256", "p384"] },
  [Oid.ecdsaWithSha384]: { hash: "SHA-384", kinds: ["p256", "p384"] },
  [Oid.ed25519]: { hash: "SHA-512", kinds: ["ed25519"] },
  [Oid.sha256WithRsa]: { hash: "SHA-256", kinds: ["rsa"], nullParameter: true },
  [Oid.sha384WithRsa]: { hash: "SHA-384", kinds: ["rsa"], nullParameter: true },
  [Oid.sha512WithRsa]: { hash: "SHA-512", kinds: ["rsa"], nullParameter: true },
};

/**
 * Reads a PKCS#10 request (RFC 2986) and verifies that whoever made it holds the key. Of its contents only the key and
 * the URIs count; the subject is not looked at, and a request for anything that a leaf never has is refused.
 * @throws SignetError `malformed-csr`, `csr-not-allowed` or `key-not-allowed`
 */
export async function readCsr(pem: string, allowedKeys: readonly PublicKeyKind[], crypto: Crypto): Promise<ParsedCsr> {
  const { info, signed, csr } = parse(pem);
  const { publicKey } = csr;
  if (!allowedKeys.includes(publicKey.kind)) {
    throw new SignetError(
      "key-not-allowed",
      `the CSR's key: ${publicKey.kind} is not among the allowed kinds, ${allowedKeys.join(", ")}`,
    );
  }
  const algorithm = signatureAlgorithms[signed.algorithm];
  if (
    algorithm === undefined ||
    !algorithm.kinds.includes(publicKey.kind) ||
    (algorithm.nullParameter ?? false) !== signed.hasNull
  ) {
    throw new SignetError("malformed-csr", "the CSR's signature algorithm does not go with its key");
  }
  let holds: boolean;
  try {
    holds = await crypto.verify(publicKey, algorithm.hash, signed.signature, info);
  } catch (cause) {
    throw new SignetError("malformed-csr", "the CSR's key or signature cannot be read", { cause });
  }
  if (!holds) throw new SignetError("malformed-csr", "the CSR's signature is not of its own key");
  return csr;
}

interface Parsed {
  readonly info: Uint8Array;
  readonly signed: { readonly algorithm: string; readonly hasNull: boolean; readonly signature: Uint8Array };
  readonly csr: ParsedCsr;
}

function parse(pem: string): Parsed {
  try {
    const whole = new DerReader(decodeSinglePem(pem, csrLabels));
    const request = whole.enter();
    whole.end();
    const info = request.expect(Tag.sequence);
    const signed = readSigned(request);
    const body = new DerReader(info.contents);
    if (body.smallInteger() !== 0) throw new SignetError("malformed-csr", "the CSR is not of version 1");
    refuseMailInSubject(body.enter());
    const publicKey = readPublicKey(body);
    // RFC 2986 wants the attributes even when there are none; some tools leave them out, and openssl takes that.
    const uris = body.done ? [] : readAttributes(body.enter(contextTag(0, true)), publicKey.kind);
    body.end();
    return { info: info.bytes, signed, csr: { publicKey, uris } };
  } catch (error) {
    const known = asSignetError(error, "malformed-csr");
    if (known.code === "key-not-allowed" || known.code === "csr-not-allowed" || known.code === "malformed-csr")
      throw known;
    throw new SignetError("malformed-csr", `the CSR: ${known.message}`, { cause: known });
  }
}

function readSigned(request: DerReader): Parsed["signed"] {
  const identifier = request.enter();
  const algorithm = identifier.oid();
  const hasNull = identifier.peek() === Tag.null;
  if (hasNull && identifier.any().contents.length !== 0) throw new SignetError("malformed-der", "NULL with contents");
  identifier.end();
  const signature = request.bitString();
  request.end();
  return { algorithm, hasNull, signature };
}

// A subject is only a name and is not copied; an e-mail address in it is an identity that somebody asks for.
function refuseMailInSubject(names: DerReader): void {
  while (!names.done) {
    const attributes = names.enter(Tag.set);
    while (!attributes.done) {
      const attribute = attributes.enter();
      if (attribute.oid() === Oid.emailAddress) throw notAllowed("an e-mail address in its subject");
      attribute.any();
      attribute.end();
    }
  }
}

function readAttributes(attributes: DerReader, kind: PublicKeyKind): readonly string[] {
  let uris: readonly string[] = [];
  let seen = false;
  while (!attributes.done) {
    const attribute = attributes.enter();
    const id = attribute.oid();
    const values = attribute.enter(Tag.set);
    attribute.end();
    if (id !== Oid.extensionRequest) throw notAllowed(`attribute ${id}`);
    if (seen) throw new SignetError("malformed-csr", "the CSR has two extension requests");
    seen = true;
    uris = readExtensions(values.enter(), kind);
    values.end();
  }
  return uris;
}

function readExtensions(list: DerReader, kind: PublicKeyKind): readonly string[] {
  let uris: readonly string[] = [];
  const seen = new Set<string>();
  while (!list.done) {
    const { id, value } = readExtension(list);
    if (seen.has(id)) throw new SignetError("malformed-csr", `the CSR has extension ${id} twice`);
    seen.add(id);
    const body = new DerReader(value);
    if (id === Oid.subjectAltName) {
      const names = readSubjectAltName(body);
      if (names.dnsNames.length + names.others > 0) {
        throw notAllowed("a name that is not a URI (DNS, IP, e-mail or another)");
      }
      uris = names.uris;
    } else if (id === Oid.basicConstraints) {
      const { isCa, pathLength } = readBasicConstraints(body);
      if (isCa || pathLength !== undefined) throw notAllowed("to be a CA");
    } else if (id === Oid.keyUsage) {
      const bits = body.namedBits();
      body.end();
      const granted = leafKeyUsage(kind);
      if (bits.some((set, bit) => set && !granted.includes(bit)))
        throw notAllowed("a key usage that its key's leaf never has");
    } else if (id === Oid.extendedKeyUsage) {
      if (readOids(body).some((usage) => usage !== Oid.serverAuth && usage !== Oid.clientAuth)) {
        throw notAllowed("an extended key usage other than serverAuth and clientAuth");
      }
    } else {
      throw notAllowed(`extension ${id}`);
    }
  }
  return uris;
}

function notAllowed(what: string): SignetError {
  return new SignetError("csr-not-allowed", `the CSR asks for what Signet never grants: ${what}`);
}
