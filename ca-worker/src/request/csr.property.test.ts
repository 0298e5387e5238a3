import { asSignetError, SignetError } from "@signet/shared/errors";
import { encodePem } from "@signet/shared/pem";
import { publicKeyKinds } from "@signet/shared/public-key";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { csrSample, sampleUris } from "../../../test/support/csr-samples.ts";
import { derMutation } from "../../../test/support/der-mutation.ts";
import { mutation } from "../../../test/support/mutation.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import type { ParsedCsr } from "../types.ts";
import { webCrypto } from "../webcrypto.ts";
import { readCsr } from "./csr.ts";

const codes = ["malformed-csr", "csr-not-allowed", "key-not-allowed"];
const samples = (["p256", "p384", "ed25519", "rsa2048"] as const).map(csrSample);
const sample = fc.constantFrom(...samples);
const spkiOf = ({ publicKey }: ParsedCsr) => Buffer.from(publicKey.spki).toString("hex");

/** What a CSR is, or undefined when it is refused with a code that a CSR can have; anything else thrown fails. */
async function valueOrRefusal(pem: string, crypto = nodeCrypto): Promise<ParsedCsr | undefined> {
  try {
    return await readCsr(pem, publicKeyKinds, crypto);
  } catch (error) {
    if (error instanceof SignetError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

describe("property: a spoilt CSR is refused, or it is still of the same key", () => {
  test("good ones are read", async () => {
    for (const { pem, spki } of samples) {
      const csr = await valueOrRefusal(pem);
      expect(csr && spkiOf(csr)).toBe(spki);
      expect(csr?.uris).toEqual(sampleUris);
    }
  });

  test("changes of the DER, on both platforms alike", async () => {
    const codesSeen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(sample, mutation, async ({ der, spki }, spoil) => {
        const spoilt = spoil(der);
        const pem = encodePem("CERTIFICATE REQUEST", spoilt);
        const csr = await valueOrRefusal(pem);
        // Everything but the signature is under it; of that, only another one of the same key could be accepted.
        if (csr !== undefined) {
          expect(spkiOf(csr)).toBe(spki);
          expect(csr.uris).toEqual(sampleUris);
          expect(Buffer.from(spoilt)).toEqual(Buffer.from(der));
        }
        expect(await valueOrRefusal(pem, webCrypto)).toEqual(csr);
        await readCsr(pem, publicKeyKinds, nodeCrypto).catch((error: unknown) => {
          codesSeen.add(asSignetError(error, "internal").code);
        });
      }),
      { numRuns: 2_000 },
    );
    expect([...codesSeen].sort()).toEqual([...codes].sort());
  });

  test("changes of the PEM", async () => {
    // White space of this kind does not matter, wherever a line can end.
    const breakLine = fc.noBias(fc.nat(9_999)).map((part) => (pem: Uint8Array<ArrayBuffer>) => {
      const at = Math.floor((part / 10_000) * pem.length);
      return Uint8Array.of(...pem.subarray(0, at), 0x20, 0x0d, 0x0a, ...pem.subarray(at));
    });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(sample, fc.oneof(mutation, breakLine), async ({ pem, spki }, spoil) => {
        const text = new TextDecoder("latin1").decode(spoil(new TextEncoder().encode(pem)));
        const csr = await valueOrRefusal(text);
        if (csr === undefined) return;
        accepted++;
        expect(spkiOf(csr)).toBe(spki);
        expect(csr.uris).toEqual(sampleUris);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test("changes of the DER under a signature that fits again", async () => {
    // Whoever holds a key can sign anything: this gets past the signature into what a CSR says.
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(sample, fc.oneof(mutation, derMutation), async ({ spki, resign }, spoil) => {
        const csr = await valueOrRefusal(resign(spoil));
        if (csr === undefined) return;
        accepted++;
        expect(spkiOf(csr)).toBe(spki);
        for (const uri of csr.uris) expect(typeof uri).toBe("string");
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  test("any text", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.uint8Array({ minLength: 1 }).map((der) => encodePem("CERTIFICATE REQUEST", der)),
        ),
        async (text) => {
          expect(await valueOrRefusal(text)).toBeUndefined();
        },
      ),
      { numRuns: 500 },
    );
  });
});
