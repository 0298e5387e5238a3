import { toHex } from "@signet/shared/base64";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import type { Clock } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { SpiffeId } from "@signet/shared/spiffe-id";
import type { Authority } from "../authority/load.ts";
import { type Crypto, signingHash } from "../crypto.ts";
import type { Grant, Issued, ParsedPublicKey } from "../types.ts";
import { type LeafName, leafWriter } from "./leaf.ts";

// Nodes' clocks are seconds apart (istio #32176: 5 to 30 s); istiod back-dates by two minutes, step-ca by one.
const backdateSeconds = 60;
const serialBytes = 16;

/** Signs leaves with one authority's key. */
export interface LeafIssuer {
  readonly authority: Authority;
  /**
   * All of a leaf but its signature, so that it can be recorded before it exists.
   * @throws SignetError `cannot-sign`
   */
  prepare(leaf: LeafContents): PreparedLeaf;
  /**
   * A certificate for the CA's own https server: DNS names, serverAuth alone, no SPIFFE ID.
   * @throws SignetError `cannot-sign`
   */
  issueServing(request: ServingRequest): Promise<Issued>;
}

/** What of a grant its leaf says. */
export type LeafContents = Omit<Grant, "rule">;

/** What the leaf will say, and the way to make it. */
export interface PreparedLeaf extends Omit<Issued, "der"> {
  /** @throws SignetError `cannot-sign` */
  sign(): Promise<Issued>;
}

export interface ServingRequest {
  readonly publicKey: ParsedPublicKey;
  /** Lower case, at least one. */
  readonly dnsNames: readonly string[];
  readonly ttlSeconds: number;
}

/**
 * An issuer over an authority. Before it is given out it makes a leaf for the authority's own key and reads it back with
 * the strict reader and the SPIFFE rules, so that a key that does not fit its certificate never signs for a workload.
 * @throws SignetError `authority-invalid`
 */
export async function createLeafIssuer(authority: Authority, crypto: Crypto, clock: Clock): Promise<LeafIssuer> {
  const { signer } = authority;
  const writer = leafWriter(signer.kind, authority.subject, authority.keyIdentifier);

  function prepare(publicKey: ParsedPublicKey, name: LeafName, ttlSeconds: number): PreparedLeaf {
    const now = Math.floor(clock());
    const notBefore = Math.max(now - backdateSeconds, authority.notBefore);
    const notAfter = Math.min(now + ttlSeconds, authority.notAfter);
    if (notAfter <= now || notBefore > now) {
      throw new SignetError(
        "cannot-sign",
        `authority ${authority.id} is valid only from ${iso(authority.notBefore)} to ${iso(authority.notAfter)}`,
      );
    }
    const serial = crypto.random(serialBytes);
    const told = { serialNumber: toHex(serial).replace(/^0+(?=.)/, ""), notBefore, notAfter };
    return {
      ...told,
      async sign() {
        const publicKeyHash = await crypto.sha256(publicKey.keyBits.slice());
        const tbs = writer.tbs({ serial, notBefore, notAfter, publicKey, publicKeyHash, name });
        return { der: writer.certificate(tbs, await sign(tbs)), ...told };
      },
    };
  }

  async function sign(tbs: Uint8Array): Promise<Uint8Array> {
    try {
      return await signer.sign(tbs);
    } catch (cause) {
      throw new SignetError("cannot-sign", `the key of authority ${authority.id} does not sign`, {
        cause,
        retryAfterSeconds: 5,
      });
    }
  }

  const issuer: LeafIssuer = {
    authority,
    prepare: ({ publicKey, spiffeId, dnsNames, ttlSeconds }) => prepare(publicKey, { spiffeId, dnsNames }, ttlSeconds),
    issueServing: async ({ publicKey, dnsNames, ttlSeconds }) => prepare(publicKey, { dnsNames }, ttlSeconds).sign(),
  };
  await testIssuer(issuer, crypto);
  return issuer;
}

async function testIssuer({ authority, prepare }: LeafIssuer, crypto: Crypto): Promise<void> {
  const spiffeId = SpiffeId.fromSegments(authority.trustDomain, ["self-test"]);
  const publicKey: ParsedPublicKey = authority.publicKey;
  try {
    const leaf = parseCertificate((await prepare({ spiffeId, dnsNames: [], publicKey, ttlSeconds: 60 }).sign()).der);
    const verifies = await crypto.verify(publicKey, signingHash[authority.signer.kind], leaf.signature, leaf.tbs);
    if (!verifies) throw new SignetError("authority-invalid", "its key does not fit its certificate");
    if (!readSvid(leaf).equals(spiffeId)) throw new SignetError("authority-invalid", "its leaf names another identity");
  } catch (error) {
    const { message } = asSignetError(error, "authority-invalid");
    throw new SignetError("authority-invalid", `authority ${authority.id}: ${message}`, { cause: error });
  }
}

function iso(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString();
}
