import { asSignetError } from "@signet/shared/errors";
import { publicKeyKinds } from "@signet/shared/public-key";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { ownId } from "../../../test/support/csr-tricks/build.ts";
import { smallOrderPoints } from "../../../test/support/csr-tricks/keys.ts";
import { spiffeIdTricks } from "../../../test/support/csr-tricks/spiffe-ids.ts";
import { csrOddities, csrTricks } from "../../../test/support/csr-tricks/table.ts";
import { authorize } from "../authorize/grant.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import type { Entitlement } from "../types.ts";
import { webCrypto } from "../webcrypto.ts";
import { readCsr } from "./csr.ts";

const entitlement: Entitlement = {
  spiffeId: SpiffeId.parse(ownId),
  dnsNames: [],
  rule: "default",
  keys: publicKeyKinds,
  defaultTtlSeconds: 60,
  maxTtlSeconds: 60,
};

/** What becomes of a CSR by either platform's cryptography: the code of its refusal, or "granted". */
async function judge(pem: string): Promise<readonly string[]> {
  const judgements = [nodeCrypto, webCrypto].map(async (crypto) => {
    try {
      const { spiffeId, dnsNames } = authorize(entitlement, await readCsr(pem, entitlement.keys, crypto), undefined);
      expect([spiffeId.toString(), ...dnsNames]).toEqual([ownId]);
      return "granted";
    } catch (error) {
      return asSignetError(error, "internal").code;
    }
  });
  return Promise.all(judgements);
}

describe("a CSR with a trick", () => {
  test.each([...csrTricks, ...spiffeIdTricks])("refuse $rule: $code", async ({ pem, code }) => {
    expect(await judge(pem())).toEqual([code, code]);
  });

  test.each(csrOddities)("take $rule", async ({ pem }) => {
    expect(await judge(pem())).toEqual(["granted", "granted"]);
  });

  test.each(smallOrderPoints.map((point) => Buffer.from(point).toString("hex")))(
    "the refused Ed25519 key %s is a point whose order divides 8",
    (encoded) => {
      expect(toEdwards(encoded).every((point) => isNeutral(double(double(double(point)))))).toBe(true);
    },
  );

  test("no rule stands twice", () => {
    const rules = [...csrTricks, ...spiffeIdTricks, ...csrOddities].map(({ rule }) => rule);
    expect(rules.filter((rule, at) => rules.indexOf(rule) !== at)).toEqual([]);
  });
});

// Edwards25519 (RFC 8032 §5.1), only as far as to double a point.
interface Point {
  readonly x: bigint;
  readonly y: bigint;
}
const prime = 2n ** 255n - 19n;
const modulo = (value: bigint) => ((value % prime) + prime) % prime;
function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, modulo(base)];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}
const inverse = (value: bigint) => power(value, prime - 2n);
const d = modulo(-121_665n * inverse(121_666n));

/** Both points of an encoded y. */
function toEdwards(encoded: string): Point[] {
  const y = modulo(BigInt(`0x${Buffer.from(encoded, "hex").reverse().toString("hex")}`));
  const square = modulo((y * y - 1n) * inverse(d * y * y + 1n));
  const root = power(square, (prime + 3n) / 8n);
  const x = modulo(root * root) === square ? root : modulo(root * power(2n, (prime - 1n) / 4n));
  expect(modulo(x * x)).toBe(square);
  return [
    { x, y },
    { x: modulo(-x), y },
  ];
}

function double({ x, y }: Point): Point {
  const t = modulo(d * x * x * y * y);
  return { x: modulo(2n * x * y * inverse(1n + t)), y: modulo((y * y + x * x) * inverse(1n - t)) };
}

const isNeutral = ({ x, y }: Point) => x === 0n && y === 1n;
