import { nodeTokenHeader } from "@signet/shared/ca-api";
import { beforeEach, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../../test/support/ca-config.ts";
import { startCaInProcess } from "../../test/support/ca-in-process.ts";
import { makeCsr } from "../../test/support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../../test/support/token-issuer.ts";
import type { Crypto } from "./crypto.ts";
import { nodeCrypto } from "./entry/node/crypto.ts";

const issuer = await TokenIssuer.create();
const node = makeNode("node-1");
const agentToken = await issuer.token(makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
const token = (namespace = "foo") => issuer.token(makePod(namespace, "sleep", node));

/** Operations of the platform's cryptography, by name. */
interface Counts {
  verifyToken: number;
  verify: number;
  sign: number;
  sha256: number;
}

/** A platform's cryptography that counts what it is asked for. */
function counting(crypto: Crypto): { crypto: Crypto; take(): Counts } {
  const none = (): Counts => ({ verifyToken: 0, verify: 0, sign: 0, sha256: 0 });
  let counts = none();
  return {
    crypto: {
      ...crypto,
      sha256(data) {
        counts.sha256++;
        return crypto.sha256(data);
      },
      verify(...asked) {
        counts.verify++;
        return crypto.verify(...asked);
      },
      verifyToken(...asked) {
        counts.verifyToken++;
        return crypto.verifyToken(...asked);
      },
      async importSigner(...asked) {
        const signer = await crypto.importSigner(...asked);
        return {
          kind: signer.kind,
          sign(data) {
            counts.sign++;
            return signer.sign(data);
          },
        };
      },
    },
    take() {
      const taken = counts;
      counts = none();
      return taken;
    },
  };
}

describe("operations of cryptography for a certificate", () => {
  let take: () => Counts;
  let ask: (path: string, bearer: string | undefined, body: object) => Promise<number>;
  const askOne = (bearer: string, csr: string) => ask("/v1/certificates", bearer, { csr });

  beforeEach(async () => {
    const counted = counting(nodeCrypto);
    const deny = { name: "no-bar", effect: "deny", namespaces: ["bar"] };
    const config = { ...caConfig({ keys: issuer.jwks }), policy: { default: "allow", rules: [deny] } };
    const ca = await startCaInProcess(config, { crypto: counted.crypto });
    take = counted.take;
    ask = async (path, bearer, body) => {
      const response = await ca.fetch(path, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          [nodeTokenHeader]: agentToken,
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        },
        body: JSON.stringify(body),
      });
      return response.status;
    };
    // The authority is loaded and tried, and the agent's token known.
    expect(await askOne(await token(), makeCsr())).toBe(201);
    take();
  });

  test("one request: its token, its CSR, one signature; the request's name and the key's identifier", async () => {
    expect(await askOne(await token(), makeCsr())).toBe(201);
    expect(take()).toEqual({ verifyToken: 1, verify: 1, sign: 1, sha256: 2 });
  });

  test("the same request again: its token alone", async () => {
    const [bearer, csr] = [await token(), makeCsr()];
    await askOne(bearer, csr);
    take();
    expect(await askOne(bearer, csr)).toBe(201);
    expect(take()).toEqual({ verifyToken: 1, verify: 0, sign: 0, sha256: 1 });
  });

  test("a batch: as many as its items, nothing more", async () => {
    const requests = await Promise.all(
      Array.from({ length: 8 }, async () => ({ token: await token(), csr: makeCsr() })),
    );
    expect(await ask("/v1/certificates/batch", undefined, { requests })).toBe(200);
    expect(take()).toEqual({ verifyToken: 8, verify: 8, sign: 8, sha256: 16 });
  });

  test("who may have nothing costs no look at a CSR", async () => {
    expect(await askOne(await token("bar"), makeCsr())).toBe(403);
    expect(take()).toEqual({ verifyToken: 1, verify: 0, sign: 0, sha256: 0 });
  });

  test("a token of nobody's costs nothing at all", async () => {
    const stranger = await TokenIssuer.create("https://stranger.example.com");
    expect(await askOne(await stranger.token(makePod("foo", "sleep", node)), makeCsr())).toBe(401);
    expect(take()).toEqual({ verifyToken: 0, verify: 0, sign: 0, sha256: 0 });
  });

  test("a CSR that is none costs no proof", async () => {
    expect(await askOne(await token(), makeCsr({ spoil: (der) => der.subarray(0, -1) }))).toBe(400);
    expect(take()).toMatchObject({ verify: 0, sign: 0 });
  });
});
