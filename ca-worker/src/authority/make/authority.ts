// @peculiar/x509 builds on tsyringe, which needs this polyfill before anything else.
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { toBase64 } from "@signet/shared/base64";
import type { TrustDomain } from "@signet/shared/spiffe-id";
import type { AuthorityDocument } from "../document.ts";

const day = 86_400;

export interface MakeOptions {
  readonly trustDomain: TrustDomain;
  /** Seconds since the epoch. */
  readonly now: number;
  readonly rootLifeSeconds?: number;
  readonly issuingLifeSeconds?: number;
}

/** A new root and its first issuing authority. The root's key is apart: no instance that signs leaves needs it. */
export interface MadeAuthority {
  readonly document: AuthorityDocument;
  /** PKCS#8 DER. */
  readonly rootKey: Uint8Array;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** Makes a root and an issuing authority under it, so that the root's key can be kept off line; the keys are P-256. */
export async function makeAuthority(options: MakeOptions): Promise<MadeAuthority> {
  const { trustDomain, now, rootLifeSeconds = 3_650 * day, issuingLifeSeconds = 365 * day } = options;
  const id = new Date(now * 1000).toISOString().slice(0, 10).replaceAll("-", "");
  const rootKeys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issuingKeys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const rootName = distinguishedName(trustDomain, `Signet Root ${id}`);
  const certify = async (
    name: string,
    keys: CryptoKeyPair,
    lifeSeconds: number,
    pathLength: number,
  ): Promise<X509Certificate> =>
    X509CertificateGenerator.create(
      {
        serialNumber: randomSerial(),
        subject: name,
        issuer: rootName,
        notBefore: new Date((now - 300) * 1000),
        notAfter: new Date((now + lifeSeconds) * 1000),
        publicKey: keys.publicKey,
        signingKey: rootKeys.privateKey,
        signingAlgorithm,
        extensions: [
          new BasicConstraintsExtension(true, pathLength, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
          await SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
          await AuthorityKeyIdentifierExtension.create(rootKeys.publicKey, false, crypto),
          // X509-SVID §3.1: a signing certificate should be an SVID itself, of the trust domain's own ID.
          new SubjectAlternativeNameExtension([{ type: "url", value: trustDomain.id }]),
        ],
      },
      crypto,
    );
  const root = await certify(rootName, rootKeys, rootLifeSeconds, 1);
  const issuing = await certify(
    distinguishedName(trustDomain, `Signet Issuing ${id}`),
    issuingKeys,
    issuingLifeSeconds,
    0,
  );
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", issuingKeys.privateKey));
  return {
    document: {
      version: 1,
      sequence: 1,
      authorities: [
        {
          id: `issuing-${id}`,
          state: "active",
          chain: [issuing, root].map((certificate) => `${certificate.toString("pem")}\n`),
          key: { kind: "plain", pkcs8: toBase64(key) },
        },
      ],
    },
    rootKey: new Uint8Array(await crypto.subtle.exportKey("pkcs8", rootKeys.privateKey)),
  };
}

function distinguishedName(trustDomain: TrustDomain, commonName: string): string {
  // A trust domain has no character that a name in RFC 4514 form would have to escape.
  return `CN=${commonName}, O=${trustDomain.name}`;
}

/** A positive serial of 127 random bits in hex. */
function randomSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
