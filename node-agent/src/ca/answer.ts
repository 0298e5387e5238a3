import { verify as verifySignature } from "node:crypto";
import type { Certificate } from "@signet/shared/ca-api";
import { type ParsedCertificate, parseCertificate, readSvid, sameBytes } from "@signet/shared/certificate";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { signatureHashes } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import type { SpiffeId } from "@signet/shared/spiffe-id";
import { type Authority, type Bundle, readAuthority } from "./bundle.ts";

// Clocks of a CA and a node may differ by this much before a certificate looks as if it were from the future.
const clockSkewSeconds = 300;
const maxIntermediates = 4;

/** A leaf that has passed every check of {@link verifyAnswer}. */
export interface VerifiedLeaf {
  /** PEM, leaf first, no root. */
  readonly chainPem: string;
  readonly serialNumber: string;
  /** Seconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Expected {
  readonly spiffeId: SpiffeId;
  /** DER of the SubjectPublicKeyInfo that the CSR carried. */
  readonly publicKey: Uint8Array;
  readonly bundle: Bundle;
  readonly now: number;
}

/**
 * Checks an answer of the CA before any of it is used: right identity, our key, valid now, signed up to a root of the
 * bundle. The CA is trusted to decide, but not to be free of faults.
 * @throws SignetError `ca-answer-invalid` naming what is wrong
 */
export function verifyAnswer(answer: Certificate, expected: Expected): VerifiedLeaf {
  try {
    return verify(answer, expected);
  } catch (caught) {
    const error = asSignetError(caught, "ca-answer-invalid");
    if (error.code === "ca-answer-invalid") throw error;
    throw new SignetError("ca-answer-invalid", `the CA's answer is not used: ${error.message}`, { cause: error });
  }
}

function verify(answer: Certificate, { spiffeId, publicKey, bundle, now }: Expected): VerifiedLeaf {
  const [leafPem, ...rest] = answer.certificateChain;
  if (leafPem === undefined) throw invalid("the chain is empty");
  if (rest.length > maxIntermediates) throw invalid("the chain is too long");
  const leaf = parseCertificate(decodeSinglePem(leafPem, ["CERTIFICATE"]));
  const id = readSvid(leaf);
  if (!id.equals(spiffeId)) throw invalid(`the certificate is for ${id}, not ${spiffeId}`);
  if (answer.spiffeId !== id.toString()) throw invalid("it says another SPIFFE ID than its certificate");
  if (!sameBytes(leaf.publicKey, publicKey)) throw invalid("the certificate has another public key than the request");
  checkTime(leaf, now);
  const intermediates = readIntermediates(rest);
  for (const { certificate } of intermediates) checkTime(certificate, now);
  checkSignatures(leaf, intermediates, bundle);
  return {
    chainPem: [leaf, ...intermediates.map(({ certificate }) => certificate)]
      .map(({ der }) => encodePem("CERTIFICATE", der))
      .join(""),
    serialNumber: leaf.serialNumber,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
  };
}

function checkTime({ notBefore, notAfter }: ParsedCertificate, now: number): void {
  if (notAfter <= now) throw invalid("a certificate of the chain has expired; is the clock right?");
  if (notBefore > now + clockSkewSeconds)
    throw invalid("a certificate of the chain is not valid yet; is the clock right?");
}

// Every answer of a CA carries the same intermediates for months: they are read, and followed up to a root, once.
let last: { readonly pem: string; readonly read: readonly Authority[]; anchoredIn?: Bundle } = { pem: "", read: [] };

function readIntermediates(pems: readonly string[]): readonly Authority[] {
  const pem = pems.join("\n");
  if (last.pem !== pem) last = { pem, read: pems.map((one) => readAuthority(decodeSinglePem(one, ["CERTIFICATE"]))) };
  return last.read;
}

function checkSignatures(leaf: ParsedCertificate, intermediates: readonly Authority[], bundle: Bundle): void {
  const [issuing] = intermediates;
  if (issuing === undefined) {
    if (!bundle.roots.some((root) => signedBy(leaf, root, 0))) throw invalid(unanchored);
    return;
  }
  if (!signedBy(leaf, issuing, 0)) throw invalid("certificate 1 did not sign the one before");
  if (last.read === intermediates && last.anchoredIn === bundle) return;
  checkIntermediates(intermediates, bundle);
  if (last.read === intermediates) last.anchoredIn = bundle;
}

const unanchored = "the chain does not lead to a root of the trust bundle";

function checkIntermediates(intermediates: readonly Authority[], bundle: Bundle): void {
  for (const [below, { certificate }] of intermediates.entries()) {
    const next = intermediates[below + 1];
    const signed =
      next === undefined
        ? bundle.roots.some((root) => signedBy(certificate, root, below + 1))
        : signedBy(certificate, next, below + 1);
    if (!signed)
      throw invalid(next === undefined ? unanchored : `certificate ${below + 2} did not sign the one before`);
  }
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
