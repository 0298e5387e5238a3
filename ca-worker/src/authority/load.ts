import { fromBase64 } from "@signet/shared/base64";
import { type ParsedCertificate, parseCertificate, sameBytes } from "@signet/shared/certificate";
import { DerReader } from "@signet/shared/der";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { KeyUsageBit, signatureHashes } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { Crypto, Signer } from "../crypto.ts";
import { readPublicKey } from "../request/public-key.ts";
import type { ParsedPublicKey } from "../types.ts";
import type { AuthorityDocument, AuthorityEntry } from "./document.ts";

/** An authority that can sign. Times are seconds since the epoch and the narrowest of its chain. */
export interface Authority {
  readonly id: string;
  readonly trustDomain: TrustDomain;
  readonly signer: Signer;
  /** DER of the Name that its leaves carry as issuer. */
  readonly subject: Uint8Array;
  readonly keyIdentifier: Uint8Array;
  readonly publicKey: ParsedPublicKey;
  readonly notBefore: number;
  readonly notAfter: number;
  /** PEM of the issuing certificate and what stands between it and the root, without the root. */
  readonly chain: readonly string[];
}

/**
 * The roots of all authorities as PEM, each once, in the order of the document. A tainted authority's root stays until
 * it is removed: workloads that it vouches for must be reachable until they have a new certificate.
 * @throws SignetError `authority-invalid`
 */
export function rootsOf(document: AuthorityDocument): string[] {
  return [...new Set(document.authorities.map(readRoot))];
}

/**
 * Subject key identifiers of the issuing certificates of tainted authorities, each once. One that has none has never
 * signed a leaf ({@link loadActiveAuthority}).
 * @throws SignetError `authority-invalid`
 */
export function taintedKeyIdsOf(document: AuthorityDocument): string[] {
  const tainted = document.authorities.filter(({ state }) => state === "tainted");
  const ids = tainted.map((entry) => readPlace(entry, 0, "the issuing certificate").subjectKeyIdentifier);
  return [...new Set(ids.filter((id) => id !== undefined))];
}

function readRoot(entry: AuthorityEntry): string {
  return encodePem("CERTIFICATE", readPlace(entry, -1, "the root").der);
}

function readPlace({ id, chain }: AuthorityEntry, at: number, place: string): ParsedCertificate {
  try {
    return parseCertificate(decodeSinglePem(chain.at(at) ?? "", ["CERTIFICATE"]));
  } catch (error) {
    const { message } = asSignetError(error, "authority-invalid");
    throw new SignetError("authority-invalid", `${place} of authority ${id}: ${message}`, { cause: error });
  }
}

/**
 * Loads the one authority that signs.
 * @throws SignetError `authority-invalid`, or `cannot-sign` where none is active
 */
export async function loadActiveAuthority(
  document: AuthorityDocument,
  trustDomain: TrustDomain,
  crypto: Crypto,
): Promise<Authority> {
  const entry = document.authorities.find(({ state }) => state === "active");
  if (entry === undefined) throw new SignetError("cannot-sign", "no authority is active");
  try {
    return await load(entry, trustDomain, crypto);
  } catch (error) {
    const { message } = asSignetError(error, "authority-invalid");
    throw new SignetError("authority-invalid", `authority ${entry.id}: ${message}`, { cause: error });
  }
}

async function load(entry: AuthorityEntry, trustDomain: TrustDomain, crypto: Crypto): Promise<Authority> {
  const chain = entry.chain.map((pem) => parseCertificate(decodeSinglePem(pem, ["CERTIFICATE"])));
  await checkChain(chain, crypto);
  const [issuing] = chain as [ParsedCertificate, ...ParsedCertificate[]];
  checkTrustDomain(issuing, trustDomain);
  const publicKey = readPublicKey(new DerReader(issuing.publicKey));
  if (publicKey.kind !== "p256" && publicKey.kind !== "p384") throw invalid("its key is neither P-256 nor P-384");
  if (issuing.subjectKeyIdentifier === undefined) throw invalid("its certificate has no subject key identifier");
  const pkcs8 = fromBase64(entry.key.pkcs8);
  if (pkcs8 === undefined) throw invalid("its key is not base64");
  return {
    id: entry.id,
    trustDomain,
    signer: await importSigner(crypto, publicKey.kind, pkcs8),
    subject: issuing.subject,
    keyIdentifier: Uint8Array.from(issuing.subjectKeyIdentifier.match(/../g) ?? [], (byte) =>
      Number.parseInt(byte, 16),
    ),
    publicKey,
    notBefore: Math.max(...chain.map(({ notBefore }) => notBefore)),
    notAfter: Math.min(...chain.map(({ notAfter }) => notAfter)),
    chain: chain.slice(0, -1).map(({ der }) => encodePem("CERTIFICATE", der)),
  };
}

/** RFC 5280 §6.1, as far as it concerns a chain that we made or were given to sign with. */
async function checkChain(chain: readonly ParsedCertificate[], crypto: Crypto): Promise<void> {
  for (const [depth, certificate] of chain.entries()) {
    const place = depth === chain.length - 1 ? "its root" : `certificate ${depth + 1} of its chain`;
    const issuer = chain[depth + 1] ?? certificate;
    const { basicConstraints, keyUsage } = certificate;
    if (basicConstraints?.isCa !== true) throw invalid(`${place} is not a CA certificate`);
    if ((basicConstraints.pathLength ?? depth) < depth) throw invalid(`${place} allows no chain that long`);
    if (keyUsage?.bits[KeyUsageBit.keyCertSign] !== true) throw invalid(`${place} may not sign certificates`);
    if (!sameBytes(certificate.issuer, issuer.subject)) throw invalid(`${place} is not issued by the next certificate`);
    const hash = signatureHashes[certificate.signatureAlgorithm];
    const key = readPublicKey(new DerReader(issuer.publicKey));
    if (hash === undefined || !(await crypto.verify(key, hash, certificate.signature, certificate.tbs))) {
      throw invalid(`the signature of ${place} does not verify`);
    }
  }
}

/**
 * X509-SVID §3.1: the SPIFFE ID of a signing certificate, where it has one, is its trust domain's. A store that was given to
 * another trust domain by mistake would let the one speak for the other.
 */
function checkTrustDomain({ subjectAltName }: ParsedCertificate, trustDomain: TrustDomain): void {
  const other = subjectAltName?.uris.find((uri) => uri.startsWith("spiffe://") && uri !== trustDomain.id);
  if (other !== undefined) throw invalid(`its certificate is for ${other}, not for ${trustDomain.id}`);
}

async function importSigner(crypto: Crypto, kind: Signer["kind"], pkcs8: Uint8Array<ArrayBuffer>): Promise<Signer> {
  try {
    return await crypto.importSigner(kind, pkcs8);
  } catch {
    // The platform's message is not passed on: it is about a private key.
    throw invalid("its key cannot be read as PKCS#8 of its certificate's kind");
  }
}

function invalid(reason: string): SignetError {
  return new SignetError("authority-invalid", reason);
}
