import { sign } from "node:crypto";
import { bitString, DerReader, oid, sequence, Tag, tlv } from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import { caFalse, commonName, makeCsr, makeKey, publicKeyDer } from "./csr.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const sampleUris = ["spiffe://cluster.local/ns/foo/sa/sleep"];

/** A good CSR to spoil. */
export interface CsrSample {
  readonly pem: string;
  readonly der: Bytes;
  /** Hex of its SubjectPublicKeyInfo. */
  readonly spki: string;
  /** The CSR over a spoilt inner part that its own key has signed again: whoever holds a key can sign anything. */
  resign(spoil: (info: Bytes) => Bytes): string;
}

const algorithms = {
  p256: { hash: "sha256", algorithm: sequence(oid(Oid.ecdsaWithSha256)) },
  p384: { hash: "sha384", algorithm: sequence(oid(Oid.ecdsaWithSha384)) },
  ed25519: { hash: null, algorithm: sequence(oid(Oid.ed25519)) },
  rsa2048: { hash: "sha256", algorithm: sequence(oid(Oid.sha256WithRsa), tlv(Tag.null)) },
} as const;
export type SampleKind = keyof typeof algorithms;

/** A CSR with all that one may have. */
export function csrSample(kind: SampleKind): CsrSample {
  const key = makeKey(kind);
  const { hash, algorithm } = algorithms[kind];
  const pem = makeCsr({ key, uris: sampleUris, subject: commonName("sleep"), extensions: [caFalse] });
  const der = decodeSinglePem(pem, ["CERTIFICATE REQUEST"]);
  const info = new DerReader(der).enter().expect(Tag.sequence).bytes.slice();
  return {
    pem,
    der,
    spki: Buffer.from(publicKeyDer(key)).toString("hex"),
    resign(spoil) {
      const spoilt = spoil(info);
      return encodePem("CERTIFICATE REQUEST", sequence(spoilt, algorithm, bitString(sign(hash, spoilt, key))));
    },
  };
}
