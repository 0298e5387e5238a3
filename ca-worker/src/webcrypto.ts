import { ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from "@signet/shared/der";
import type { PublicKeyKind } from "@signet/shared/public-key";
import { type Crypto, type HashName, signingHash } from "./crypto.ts";

const curves = { p256: { name: "P-256", bytes: 32 }, p384: { name: "P-384", bytes: 48 } } as const;

/** {@link Crypto} over the WebCrypto that every platform has. */
export const webCrypto: Crypto = {
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),

  sha256: async (data) => new Uint8Array(await crypto.subtle.digest("SHA-256", data)),

  async verify(key, hash, signature, data) {
    const imported = await crypto.subtle.importKey("spki", key.spki, importParams(key.kind, hash), false, ["verify"]);
    const curve = key.kind === "p256" || key.kind === "p384" ? curves[key.kind] : undefined;
    const raw = curve === undefined ? signature : ecdsaSignatureToRaw(signature, curve.bytes);
    return crypto.subtle.verify(operationParams(key.kind, hash), imported, raw.slice(), data.slice());
  },

  async importSigner(kind, pkcs8) {
    const hash = signingHash[kind];
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, importParams(kind, hash), false, ["sign"]);
    return {
      kind,
      sign: async (data) =>
        ecdsaSignatureFromRaw(new Uint8Array(await crypto.subtle.sign(operationParams(kind, hash), key, data.slice()))),
    };
  },
};

function importParams(kind: PublicKeyKind, hash: HashName): EcKeyImportParams | RsaHashedImportParams | Algorithm {
  if (kind === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash };
  return kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: curves[kind].name };
}

function operationParams(kind: PublicKeyKind, hash: HashName): EcdsaParams | Algorithm {
  if (kind === "rsa") return { name: "RSASSA-PKCS1-v1_5" };
  return kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", hash };
}
