import { DerReader, sequence } from "@signet/shared/der";
import { SignetError } from "@signet/shared/errors";
import { publicKeyKinds } from "@signet/shared/public-key";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { oracles, readByPeculiar } from "../../../test/support/csr-oracles.ts";
import { csrSample } from "../../../test/support/csr-samples.ts";
import {
  type Difference,
  type Oracle,
  refusedElsewhere,
  takenElsewhere,
} from "../../../test/support/csr-tricks/differences.ts";
import { csrOddities, csrTricks } from "../../../test/support/csr-tricks/table.ts";
import { derMutation } from "../../../test/support/der-mutation.ts";
import { mutation } from "../../../test/support/mutation.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { readCsr } from "./csr.ts";

const names = Object.keys(oracles) as Oracle[];

/** The implementations that take a CSR, or those that do not. */
async function byWhom(pem: string, taken: boolean): Promise<Oracle[]> {
  const verdicts = await Promise.all(names.map((name) => oracles[name](pem)));
  return names.filter((_, at) => verdicts[at] === taken);
}

async function differences(cases: readonly { readonly rule: string; readonly pem: () => string }[], taken: boolean) {
  const found = await Promise.all(cases.map(async ({ rule, pem }) => [rule, await byWhom(pem(), taken)] as const));
  return Object.fromEntries(found.filter(([, by]) => by.length > 0));
}

/** What we find malformed where both others do not; each is in the table, too. */
const strictness = new RegExp(
  [
    // Encodings that are not the one canonical, and values where the standards have none or others.
    "^the CSR: not DER: ",
    "^the CSR: .* which is the default$",
    "^the CSR has (?:two extension requests|extension [0-9.]+ twice)$",
    "^the CSR is not of version 1$",
    "^the CSR's signature algorithm does not go with its key$",
  ].join("|"),
);

/** What we read in a CSR, or why we do not. */
async function ours(pem: string) {
  try {
    const { publicKey, uris } = await readCsr(pem, publicKeyKinds, nodeCrypto);
    return { spki: Buffer.from(publicKey.spki).toString("hex"), uris };
  } catch (error) {
    if (error instanceof SignetError) return error;
    throw error;
  }
}

function dropSubject(info: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts = new DerReader(info).enter();
  const [version, , ...rest] = Array.from({ length: 4 }, () => (parts.done ? new Uint8Array() : parts.any().bytes));
  return sequence(version ?? new Uint8Array(), sequence(), ...rest);
}

const listed = (table: Readonly<Record<string, Difference>>) =>
  Object.fromEntries(Object.entries(table).map(([rule, { by }]) => [rule, by]));

// A process for each CSR: on a machine that is busy it takes its time.
const patience = { timeout: 90_000 };

describe(
  "what is a valid CSR: as openssl and @peculiar/x509 say, or the difference is listed with its reason",
  patience,
  () => {
    test("tricks", async () => {
      // What is well-formed and refused is a matter of policy, in which the others have no say.
      const malformed = csrTricks.filter(({ code }) => code === "malformed-csr");
      expect(await differences(malformed, true)).toEqual(listed(takenElsewhere));
    });

    const samples = (["p256", "ed25519"] as const).map(csrSample);
    const spoilt = fc.tuple(fc.constantFrom(...samples), fc.oneof(mutation, derMutation)).map(([sample, spoil]) => ({
      pem: sample.resign(spoil),
      withoutSubject: () => sample.resign((info) => dropSubject(spoil(info))),
    }));

    test("changes of good CSRs", async () => {
      const seen = { taken: 0, malformed: 0 };
      await fc.assert(
        fc.asyncProperty(spoilt, async ({ pem, withoutSubject }) => {
          const read = await ours(pem);
          if (!(read instanceof SignetError)) {
            seen.taken++;
            // In the subject, of which we take no more than that it is a Name, others may find what is no text.
            const taken = (await byWhom(pem, true)).length === names.length ? pem : withoutSubject();
            expect(await byWhom(taken, true)).toEqual(names);
            expect(readByPeculiar(taken)).toEqual(read);
            return;
          }
          if (read.code !== "malformed-csr" || !(await oracles["@peculiar/x509"](pem))) return;
          if (!(await oracles.openssl(pem))) return;
          seen.malformed++;
          expect(read.message).toMatch(strictness);
        }),
        { numRuns: 400 },
      );
      expect(seen.taken).toBeGreaterThan(10);
      expect(seen.malformed).toBeGreaterThan(3);
    });

    test("oddities", async () => {
      expect(await differences(csrOddities, false)).toEqual(listed(refusedElsewhere));
    });
  },
);
