/** Object identifiers by the names of their documents. */
export const Oid = {
  // RFC 5480 §2.1
  ecPublicKey: "1.2.840.10045.2.1",
  p256: "1.2.840.10045.3.1.7",
  p384: "1.3.132.0.34",
  // RFC 8410 §3
  ed25519: "1.3.101.112",
  // RFC 8017 appendix C
  rsaEncryption: "1.2.840.113549.1.1.1",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  sha384WithRsa: "1.2.840.113549.1.1.12",
  sha512WithRsa: "1.2.840.113549.1.1.13",
  // RFC 5758 §3.2
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  // RFC 2985 §5.4
  extensionRequest: "1.2.840.113549.1.9.14",
  emailAddress: "1.2.840.113549.1.9.1",
  // RFC 5280 §4.2.1
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

/** Bits of KeyUsage (RFC 5280 §4.2.1.3). */
export const KeyUsageBit = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

/** The hash of each signature algorithm that a CA's certificates may have. */
export const signatureHashes: Readonly<Record<string, "SHA-256" | "SHA-384" | "SHA-512">> = {
  [Oid.ecdsaWithSha256]: "SHA-256",
  [Oid.ecdsaWithSha384]: "SHA-384",
  [Oid.sha256WithRsa]: "SHA-256",
  [Oid.sha384WithRsa]: "SHA-384",
  [Oid.sha512WithRsa]: "SHA-512",
};
