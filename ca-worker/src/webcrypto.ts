import { ecdsaSignatureFromRaw, ecdsaSignatureToRaw } from "@signet/shared/der";
import type { PublicKeyKind } from "@signet/shared/public-key";
import type { TokenAlgorithm } from "@signet/shared/token-rules";
import { type Crypto, type HashName, signingHash } from "./crypto.ts";

const text = new TextEncoder();
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

  verifyToken: (algorithm, key, signature, signed) =>
    crypto.subtle.verify(tokenParams(algorithm), key, signature, text.encode(signed)),

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

/** RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1: a PS salt is as long as its hash. */
function tokenParams(algorithm: TokenAlgorithm): Algorithm | EcdsaParams | RsaPssParams {
  const bits = Number(algorithm.slice(2));
  if (algorithm === "EdDSA") return { name: "Ed25519" };
  if (algorithm.startsWith("ES")) return { name: "ECDSA", hash: `SHA-${bits}` };
  return algorithm.startsWith("PS") ? { name: "RSA-PSS", saltLength: bits / 8 } : { name: "RSASSA-PKCS1-v1_5" };
}
