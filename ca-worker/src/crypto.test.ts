import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { bitString, ecdsaSignatureToRaw, sequence, unsignedInteger } from "@signet/shared/der";
import type { PublicKeyKind } from "@signet/shared/public-key";
import { describe, expect, test } from "vitest";
import { publicKeyDer } from "../../test/support/csr.ts";
import type { Crypto, HashName, VerifyingKey } from "./crypto.ts";
import { nodeCrypto } from "./entry/node/crypto.ts";
import { webCrypto } from "./webcrypto.ts";

const data = new TextEncoder().encode("what is signed");
const ecPairs = {
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
};
const rsaPair = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ed25519Pair = generateKeyPairSync("ed25519");

interface Case {
  readonly kind: PublicKeyKind;
  readonly hash: HashName;
  readonly privateKey: KeyObject;
}
const cases: readonly Case[] = [
  { kind: "p256", hash: "SHA-256", privateKey: ecPairs.p256.privateKey },
  { kind: "p256", hash: "SHA-384", privateKey: ecPairs.p256.privateKey },
  { kind: "p384", hash: "SHA-384", privateKey: ecPairs.p384.privateKey },
  { kind: "p384", hash: "SHA-256", privateKey: ecPairs.p384.privateKey },
  { kind: "ed25519", hash: "SHA-512", privateKey: ed25519Pair.privateKey },
  { kind: "rsa", hash: "SHA-256", privateKey: rsaPair.privateKey },
  { kind: "rsa", hash: "SHA-384", privateKey: rsaPair.privateKey },
  { kind: "rsa", hash: "SHA-512", privateKey: rsaPair.privateKey },
];
const nodeHash = ({ kind, hash }: Case) => (kind === "ed25519" ? null : hash.replace("-", "").toLowerCase());
const signed = (one: Case) => Uint8Array.from(sign(nodeHash(one), data, one.privateKey));
const keyOf = ({ kind, privateKey }: Case): VerifyingKey => ({ kind, spki: publicKeyDer(privateKey).slice() });

/** Whether it verifies; what is thrown counts as "no", as it does for every caller. */
async function verifies(crypto: Crypto, key: VerifyingKey, hash: HashName, signature: Uint8Array, of = data) {
  try {
    return await crypto.verify(key, hash, signature, of);
  } catch {
    return false;
  }
}

describe.each([
  { platform: "node:crypto", crypto: nodeCrypto },
  { platform: "WebCrypto", crypto: webCrypto },
])("cryptography of $platform", ({ crypto }) => {
  test.each(cases)("verify $kind with $hash: the signature, and nothing like it", async (one) => {
    const { hash } = one;
    const [key, good] = [keyOf(one), signed(one)];
    expect(await crypto.verify(key, hash, good, data)).toBe(true);
    // Views into a larger buffer, as a parser hands them on.
    const padded = Uint8Array.of(9, 9, ...good, 9).subarray(2, 2 + good.length);
    expect(await crypto.verify(key, hash, padded, Uint8Array.of(1, ...data).subarray(1))).toBe(true);

    for (const at of [0, 1, 4, Math.floor(good.length / 2), good.length - 1]) {
      expect(await verifies(crypto, key, hash, good.with(at, (good[at] ?? 0) ^ 1))).toBe(false);
    }
    expect(await verifies(crypto, key, hash, good.subarray(0, -1))).toBe(false);
    expect(await verifies(crypto, key, hash, Uint8Array.of(...good, 0))).toBe(false);
    expect(await verifies(crypto, key, hash, new Uint8Array())).toBe(false);
    expect(await verifies(crypto, key, hash, good, Uint8Array.of(...data, 0))).toBe(false);
    if (one.kind !== "ed25519") {
      const otherHash = hash === "SHA-256" ? "SHA-384" : "SHA-256";
      expect(await verifies(crypto, key, otherHash, good)).toBe(false);
    }
  });

  test.each(["p256", "p384"] as const)("ECDSA with %s: refuse what is not the one DER of a signature", async (kind) => {
    const one = cases.find((some) => some.kind === kind) as Case;
    const [key, good] = [keyOf(one), signed(one)];
    const size = kind === "p256" ? 32 : 48;
    const raw = ecdsaSignatureToRaw(good, size);
    const [r, s] = [raw.subarray(0, size), raw.subarray(size)];
    const zero = unsignedInteger(Uint8Array.of(0));
    const long = Uint8Array.of(0x30, 0x81, ...good.subarray(1));
    for (const bad of [
      raw,
      sequence(unsignedInteger(s), unsignedInteger(r)),
      sequence(zero, unsignedInteger(s)),
      sequence(unsignedInteger(r), zero),
      sequence(zero, zero),
      sequence(unsignedInteger(r), unsignedInteger(s), zero),
      sequence(Uint8Array.of(0x02, size + 3, 0, 0, 0, ...r), unsignedInteger(s)),
      long,
      bitString(good),
    ]) {
      expect(await verifies(crypto, key, one.hash, bad)).toBe(false);
    }
  });

  test("a key that is none verifies nothing", async () => {
    const one = cases[0] as Case;
    const key = keyOf(one);
    const offCurve = key.spki.with(-1, (key.spki.at(-1) ?? 0) ^ 1);
    expect(await verifies(crypto, { ...key, spki: offCurve }, one.hash, signed(one))).toBe(false);
    expect(await verifies(crypto, { ...key, spki: new Uint8Array() }, one.hash, signed(one))).toBe(false);
    expect(await verifies(crypto, { ...key, spki: key.spki.slice(0, -1) }, one.hash, signed(one))).toBe(false);
  });

  test.each(["p256", "p384"] as const)(
    "a signer of %s: its signatures are DER that node:crypto verifies",
    async (kind) => {
      const { privateKey, publicKey } = ecPairs[kind];
      const pkcs8 = Uint8Array.from(privateKey.export({ format: "der", type: "pkcs8" }));
      const signer = await crypto.importSigner(kind, pkcs8);
      expect(signer.kind).toBe(kind);
      // Lengths differ from one to the next: leading zeros and top bits.
      for (let run = 0; run < 20; run++) {
        const message = Uint8Array.of(...data, run);
        const signature = await signer.sign(message);
        expect(verify(kind === "p256" ? "sha256" : "sha384", message, publicKey, signature)).toBe(true);
      }
      expect(Object.keys(signer).sort()).toEqual(["kind", "sign"]);
    },
  );

  test.each<{ rule: string; kind: "p256" | "p384"; pkcs8: () => Uint8Array }>([
    {
      rule: "the other curve",
      kind: "p256",
      pkcs8: () => ecPairs.p384.privateKey.export({ format: "der", type: "pkcs8" }),
    },
    {
      rule: "the other curve",
      kind: "p384",
      pkcs8: () => ecPairs.p256.privateKey.export({ format: "der", type: "pkcs8" }),
    },
    { rule: "RSA", kind: "p256", pkcs8: () => rsaPair.privateKey.export({ format: "der", type: "pkcs8" }) },
    { rule: "Ed25519", kind: "p256", pkcs8: () => ed25519Pair.privateKey.export({ format: "der", type: "pkcs8" }) },
    {
      rule: "SEC 1 in place of PKCS#8",
      kind: "p256",
      pkcs8: () => ecPairs.p256.privateKey.export({ format: "der", type: "sec1" }),
    },
    { rule: "a public key", kind: "p256", pkcs8: () => publicKeyDer(ecPairs.p256.privateKey) },
    { rule: "nothing", kind: "p256", pkcs8: () => new Uint8Array() },
  ])("a signer of $kind: refuse a key of $rule", async ({ kind, pkcs8 }) => {
    await expect((async () => crypto.importSigner(kind, Uint8Array.from(pkcs8())))()).rejects.toThrow();
  });

  test("SHA-256", async () => {
    const hash = Uint8Array.from(await crypto.sha256(data));
    expect(hash).toEqual(Uint8Array.from(createHash("sha256").update(data).digest()));
  });

  test("random bytes: as many as asked for, never the same, and kept by nobody else", () => {
    // More than one filling of any pool of a few KiB.
    const drawn = Array.from({ length: 1_000 }, () => crypto.random(16));
    const seen = new Set(drawn.map((bytes) => Buffer.from(bytes).toString("hex")));
    expect(seen.size).toBe(drawn.length);
    expect(drawn.every((bytes) => bytes.length === 16)).toBe(true);
    expect(crypto.random(0)).toHaveLength(0);
    const first = crypto.random(16);
    const before = Uint8Array.from(first);
    const second = crypto.random(16).fill(0);
    expect(second).toHaveLength(16);
    expect(Uint8Array.from(first)).toEqual(before);
  });
});
