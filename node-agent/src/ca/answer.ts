import { verify as verifySignature } from "node:crypto";
import type { Certificate } from "@signet/shared/ca-api";
import { type ParsedCertificate, parseCertificate, readSvid, sameBytes } from "@signet/shared/certificate";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { signatureHashes } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import { type Authority, type Bundle, readAuthority } from "./bundle.ts";
import type { Issuers } from "./standing.ts";

// Clocks of a CA and a node may differ by this much before a certificate looks as if it were from the future.
const clockSkewSeconds = 300;
const maxIntermediates = 4;
// No policy of the CA lets a leaf live longer (`maxTtl` of its configuration).
const longestLifeSeconds = 90 * 86_400;

/** A leaf that has passed every check of {@link verifyAnswer}. */
export interface VerifiedLeaf {
  /** PEM, leaf first, no root. */
  readonly chainPem: string;
  readonly serialNumber: string;
  /** Seconds since the epoch. */
  readonly notBefore: number;
  /** When the first certificate of its chain, root included, runs out. */
  readonly notAfter: number;
  readonly issuers: Issuers;
}

export interface Expected {
  readonly spiffeId: SpiffeId;
  /** DER of the SubjectPublicKeyInfo that the CSR carried. */
  readonly publicKey: Uint8Array;
  readonly bundle: Bundle;
  /** What was asked for; the CA may shorten it, never lengthen. */
  readonly ttlSeconds: number | undefined;
  readonly now: number;
}

/**
 * Checks an answer of the CA before any of it is used: right identity, our key, valid now, signed up to a root of the
 * bundle. The CA is trusted to decide, but not to be free of faults.
 * @throws SignetError `ca-answer-invalid` naming what is wrong; `ca-identity-differs` when only the SPIFFE ID is another
 *   than the token says, which may be the token's fault as well as the CA's
 */
export function verifyAnswer(answer: Certificate, expected: Expected): VerifiedLeaf {
  try {
    return verify(answer, expected);
  } catch (caught) {
    const error = asSignetError(caught, "ca-answer-invalid");
    if (error.code === "ca-answer-invalid" || error.code === "ca-identity-differs") throw error;
    throw new SignetError("ca-answer-invalid", `the CA's answer is not used: ${error.message}`, { cause: error });
  }
}

function verify(answer: Certificate, { spiffeId, publicKey, bundle, ttlSeconds, now }: Expected): VerifiedLeaf {
  const [leafPem, ...rest] = answer.certificateChain;
  if (leafPem === undefined) throw invalid("the chain is empty");
  if (rest.length > maxIntermediates) throw invalid("the chain is too long");
  const leaf = parseCertificate(decodeSinglePem(leafPem, ["CERTIFICATE"]));
  const id = readSvid(leaf);
  // First of all, so that somebody else's certificate is told from our own with another name in it.
  if (!sameBytes(leaf.publicKey, publicKey)) throw invalid("the certificate has another public key than the request");
  if (!id.equals(spiffeId)) {
    const message = `the CA's answer is not used: the certificate is for ${id}, not ${spiffeId}`;
    throw new SignetError("ca-identity-differs", message);
  }
  if (answer.spiffeId !== id.toString()) throw invalid("it says another SPIFFE ID than its certificate");
  checkTime(leaf, now);
  if (leaf.notAfter > now + Math.min(ttlSeconds ?? longestLifeSeconds, longestLifeSeconds) + clockSkewSeconds) {
    throw invalid("the certificate lives longer than was asked for; is the clock right?");
  }
  const intermediates = readIntermediates(rest);
  for (const { certificate } of intermediates) checkTime(certificate, now);
  const root = checkSignatures(leaf, intermediates, bundle, now);
  return {
    // Encoded anew: only what was read goes on.
    chainPem: encodePem("CERTIFICATE", leaf.der) + last.chainPem,
    serialNumber: leaf.serialNumber,
    issuers: { intermediates, root },
    notBefore: leaf.notBefore,
    // Whoever verifies the leaf does so up to the root.
    notAfter: Math.min(leaf.notAfter, root.notAfter, ...intermediates.map(({ certificate }) => certificate.notAfter)),
  };
}

function checkTime({ notBefore, notAfter }: ParsedCertificate, now: number): void {
  if (notAfter <= now) throw invalid("a certificate of the chain has expired; is the clock right?");
  if (notBefore > now + clockSkewSeconds)
    throw invalid("a certificate of the chain is not valid yet; is the clock right?");
}

// Every answer of a CA carries the same intermediates for months: they are read, and followed up to a root, once.
interface Followed {
  /** As the CA wrote them. */
  readonly pem: string;
  readonly read: readonly Authority[];
  /** Encoded anew. */
  readonly chainPem: string;
  anchor?: { readonly bundle: Bundle; readonly root: ParsedCertificate };
}
let last: Followed = { pem: "", read: [], chainPem: "" };

function readIntermediates(pems: readonly string[]): readonly Authority[] {
  const pem = pems.join("\n");
  if (last.pem !== pem) {
    const read = pems.map((one) => readAuthority(decodeSinglePem(one, ["CERTIFICATE"])));
    last = { pem, read, chainPem: read.map(({ certificate }) => encodePem("CERTIFICATE", certificate.der)).join("") };
  }
  return last.read;
}

/** @returns the root that the chain leads to */
function checkSignatures(
  leaf: ParsedCertificate,
  intermediates: readonly Authority[],
  bundle: Bundle,
  now: number,
): ParsedCertificate {
  const [issuing] = intermediates;
  if (issuing === undefined) return findRoot(leaf, 0, bundle, now);
  if (!signedBy(leaf, issuing, 0)) throw invalid("certificate 1 did not sign the one before");
  const { anchor } = last;
  if (last.read === intermediates && anchor?.bundle === bundle && anchor.root.notAfter > now) return anchor.root;
  const root = followUp(intermediates, bundle, now);
  if (last.read === intermediates) last.anchor = { bundle, root };
  return root;
}

function followUp(intermediates: readonly Authority[], bundle: Bundle, now: number): ParsedCertificate {
  for (const [below, { certificate }] of intermediates.entries()) {
    const next = intermediates[below + 1];
    if (next === undefined) return findRoot(certificate, below + 1, bundle, now);
    if (!signedBy(certificate, next, below + 1)) {
      throw invalid(`certificate ${below + 2} did not sign the one before`);
    }
  }
  throw new TypeError("there is an intermediate");
}

function findRoot(subject: ParsedCertificate, below: number, { roots }: Bundle, now: number): ParsedCertificate {
  const root = roots.find((one) => one.certificate.notAfter > now && signedBy(subject, one, below));
  if (root === undefined) throw invalid("the chain does not lead to a root of the trust bundle");
  return root.certificate;
}

/** @param below how many intermediates stand between `issuer` and the leaf */
function signedBy(subject: ParsedCertificate, issuer: Authority, below: number): boolean {
  if (!sameBytes(subject.issuer, issuer.certificate.subject)) return false;
  const pathLength = issuer.certificate.basicConstraints?.pathLength;
  if (pathLength !== undefined && pathLength < below) return false;
  const hash = signatureHashes[subject.signatureAlgorithm];
  if (hash === undefined) throw invalid("a certificate of the chain has a signature algorithm that is not known");
  return verifySignature(hash, subject.tbs, issuer.publicKey, subject.signature);
}

function invalid(reason: string): SignetError {
  return new SignetError("ca-answer-invalid", `the CA's answer is not used: ${reason}`);
}
