import { createPublicKey, type KeyObject } from "node:crypto";
import type { TrustBundle } from "@signet/shared/ca-api";
import { type ParsedCertificate, parseCertificate } from "@signet/shared/certificate";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { KeyUsageBit } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { Deps } from "../deps.ts";

/** A certificate that may sign others, ready to verify with. */
export interface Authority {
  readonly certificate: ParsedCertificate;
  readonly publicKey: KeyObject;
}

export interface Bundle {
  readonly sequence: number;
  readonly refreshHintSeconds: number;
  readonly roots: readonly Authority[];
  /** PEM of every root. */
  readonly pem: string;
  /** Subject key identifiers, lower-case hex, of authorities whose certificates must be replaced now. */
  readonly taintedKeyIds: ReadonlySet<string>;
  /** When it was first heard of, in seconds since the epoch. */
  readonly learnedAt: number;
}

type Listener = (bundle: Bundle) => void;

/** The trust bundle as last heard of, from whichever answer said it first. It never goes back to an older one. */
export class TrustBundleStore {
  readonly #trustDomain: TrustDomain;
  readonly #deps: Pick<Deps, "log" | "metrics" | "now">;
  readonly #listeners = new Set<Listener>();
  #current: Bundle | undefined;

  constructor(trustDomain: TrustDomain, deps: Pick<Deps, "log" | "metrics" | "now">) {
    this.#trustDomain = trustDomain;
    this.#deps = deps;
  }

  get current(): Bundle | undefined {
    return this.#current;
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes a bundle that the CA sent, unless what is known is as new.
   * @throws SignetError `ca-answer-invalid` when it must not be used
   */
  offer(sent: TrustBundle): void {
    const known = this.#current;
    // Every issuance carries the bundle; one that is known is not read again.
    if (known !== undefined && sent.sequence < known.sequence) return;
    const sameTaint = isSameTaint(known, sent);
    if (known !== undefined && sent.sequence === known.sequence && sameRoots(known, sent) && sameTaint) return;
    const bundle = readBundle(sent, this.#trustDomain, this.#deps.now());
    if (known !== undefined && known.sequence === bundle.sequence) {
      if (known.pem === bundle.pem && sameTaint) return;
      if (known.pem !== bundle.pem)
        throw invalid(`it has other roots than before under the same sequence ${bundle.sequence}`);
    }
    this.#current = bundle;
    this.#deps.metrics.bundleSequence = bundle.sequence;
    this.#deps.log.info(
      {
        sequence: bundle.sequence,
        roots: bundle.roots.length,
        tainted: bundle.taintedKeyIds.size,
        trustDomain: this.#trustDomain.name,
      },
      "trust bundle learned",
    );
    for (const listener of this.#listeners) listener(bundle);
  }
}

function sameRoots(known: Bundle, sent: TrustBundle): boolean {
  return sent.roots.join("") === known.pem;
}

function isSameTaint(known: Bundle | undefined, { taintedKeyIds = [] }: TrustBundle): boolean {
  const before = known?.taintedKeyIds ?? new Set();
  return before.size === new Set(taintedKeyIds).size && taintedKeyIds.every((id) => before.has(id));
}

function readBundle(sent: TrustBundle, trustDomain: TrustDomain, learnedAt: number): Bundle {
  if (sent.trustDomain !== trustDomain.name) {
    throw invalid(`it is for the trust domain ${JSON.stringify(sent.trustDomain.slice(0, 255))}, not ${trustDomain}`);
  }
  if (sent.roots.length === 0) throw invalid("it is empty");
  const roots = sent.roots.map((pem) => readRoot(pem));
  return {
    sequence: sent.sequence,
    refreshHintSeconds: sent.refreshHintSeconds,
    roots,
    pem: roots.map(({ certificate }) => encodePem("CERTIFICATE", certificate.der)).join(""),
    taintedKeyIds: new Set(sent.taintedKeyIds),
    learnedAt,
  };
}

function readRoot(pem: string): Authority {
  try {
    return readAuthority(decodeSinglePem(pem, ["CERTIFICATE"]));
  } catch (error) {
    throw invalid(`a root: ${asSignetError(error, "malformed-certificate").message}`);
  }
}

/**
 * Reads a certificate that is to verify others.
 * @throws SignetError `malformed-certificate` when it cannot be read or may not sign certificates
 */
export function readAuthority(der: Uint8Array): Authority {
  const certificate = parseCertificate(der);
  if (certificate.basicConstraints?.isCa !== true) throw new SignetError("malformed-certificate", "it is no CA");
  if (certificate.keyUsage !== undefined && certificate.keyUsage.bits[KeyUsageBit.keyCertSign] !== true) {
    throw new SignetError("malformed-certificate", "its key usage lacks keyCertSign");
  }
  const key = Buffer.from(certificate.publicKey);
  return { certificate, publicKey: createPublicKey({ key, format: "der", type: "spki" }) };
}

function invalid(reason: string): SignetError {
  return new SignetError("ca-answer-invalid", `the CA's trust bundle is not used: ${reason}`);
}
