import { constants, createPrivateKey, hash, KeyObject, randomFillSync, sign, verify } from "node:crypto";
import { encodePem } from "@signet/shared/pem";
import type { Crypto } from "../../crypto.ts";
import { signingHash } from "../../crypto.ts";

// Random bytes are taken from the system in larger pieces: a call costs more than the bytes.
const pool = Buffer.alloc(4_096);
let used = pool.length;

// Issuers' keys in the form that the synchronous calls take; forgotten with the key.
const tokenKeys = new WeakMap<CryptoKey, KeyObject>();

/**
 * {@link Crypto} over node:crypto's synchronous calls: for operations of tens of microseconds the way to a thread and back
 * costs more than the work itself.
 */
export const nodeCrypto: Crypto = {
  random(length) {
    if (used + length > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const bytes = Uint8Array.prototype.slice.call(pool, used, used + length);
    used += length;
    return bytes;
  },

  sha256: (data) => hash("sha256", data, "buffer"),

  verify(key, hash, signature, data) {
    // As PEM text: for any object Node first finds out by caught exceptions that it is no key, 50 microseconds in all.
    return verify(key.kind === "ed25519" ? null : hash, data, encodePem("PUBLIC KEY", key.spki), signature);
  },

  verifyToken(algorithm, key, signature, signed) {
    let tokenKey = tokenKeys.get(key);
    if (tokenKey === undefined) {
      tokenKey = KeyObject.from(key);
      tokenKeys.set(key, tokenKey);
    }
    const data = Buffer.from(signed, "latin1");
    if (algorithm === "EdDSA") return verify(null, data, tokenKey, signature);
    const digest = `sha${algorithm.slice(2)}`;
    if (algorithm.startsWith("ES"))
      return verify(digest, data, { key: tokenKey, dsaEncoding: "ieee-p1363" }, signature);
    if (algorithm.startsWith("RS")) return verify(digest, data, tokenKey, signature);
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
    return verify(digest, data, { key: tokenKey, ...padding }, signature);
  },

  importSigner(kind, pkcs8) {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    const curve = key.asymmetricKeyDetails?.namedCurve;
    if (curve !== (kind === "p256" ? "prime256v1" : "secp384r1")) throw new TypeError("the key is of another curve");
    return { kind, sign: (data) => sign(signingHash[kind], data, key) };
  },
};
