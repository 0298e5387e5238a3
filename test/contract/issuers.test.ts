import { type Certificate, nodeTokenHeader, type Problem } from "@signet/shared/ca-api";
import { type TokenAlgorithm, tokenAlgorithms } from "@signet/shared/token-rules";
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCsr } from "../support/csr.ts";
import { caAudience, makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { type Bench, type Platform, startBench } from "./platforms.ts";

const issuerName = "https://clusters.example/older";
const node = makeNode("node-1");
const sleep = makePod("foo", "sleep", node);

const keys = new Map<TokenAlgorithm, CryptoKey>();
const jwks: { keys: JWK[] } = { keys: [] };
let bound: TokenIssuer;
beforeAll(async () => {
  bound = await TokenIssuer.create("https://clusters.example/bound");
  for (const alg of tokenAlgorithms) {
    const { privateKey, publicKey } = await generateKeyPair(alg, { modulusLength: 2_048, extractable: true });
    keys.set(alg, privateKey);
    jwks.keys.push({ ...(await exportJWK(publicKey)), kid: alg });
  }
});

/** A token of a cluster before 1.30, whose pods' tokens name no node. */
async function olderToken(
  alg: TokenAlgorithm,
  { namespace, serviceAccount, pod }: PodIdentity = sleep,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    ...{ iss: issuerName, aud: [caAudience], sub: `system:serviceaccount:${namespace}:${serviceAccount}` },
    ...{ iat: now, nbf: now, exp: now + 3_600 },
    "kubernetes.io": { namespace, pod, serviceaccount: { name: serviceAccount, uid: "account" } },
  };
  const key = keys.get(alg);
  if (key === undefined) throw new TypeError(`no key for ${alg}`);
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg, kid: alg })
    .sign(key);
}

// The two kinds of cryptography that there are: node:crypto in process, WebCrypto in workerd.
describe.each<Platform>(["in-process", "workerd"])("issuers on %s", (platform) => {
  let bench: Bench;
  let csr: string;
  beforeAll(async () => {
    csr = makeCsr();
    const agents = { agents: ["mesh/agent"] };
    const issuers = [
      {
        ...{ issuer: issuerName, audiences: [caAudience], keys: jwks },
        ...{ nodeBinding: "off", namespaces: ["foo", "team-*"], path: "/older/{namespace}/{serviceAccount}" },
      },
      { issuer: bound.issuer, audiences: [caAudience], keys: bound.jwks, nodeBinding: agents },
    ];
    bench = await startBench(platform, { issuers });
  });
  afterAll(() => bench?.stop());

  async function ask(token: string, nodeToken?: string) {
    const response = await bench.fetch("/v1/certificates", {
      method: "POST",
      headers: {
        ...{ "content-type": "application/json", authorization: `Bearer ${token}` },
        ...(nodeToken !== undefined && { [nodeTokenHeader]: nodeToken }),
      },
      body: JSON.stringify({ csr }),
    });
    const body = (await response.json()) as Certificate & Problem;
    return { status: response.status, said: body.spiffeId ?? body.type };
  }

  test.each(tokenAlgorithms)("a token with %s", async (alg) => {
    const token = await olderToken(alg);
    expect(await ask(token)).toEqual({ status: 201, said: "spiffe://cluster.local/older/foo/sleep" });
    // The same signature under other claims.
    const [header, , signature] = token.split(".");
    const other = (await olderToken(alg, makePod("foo", "admin", node))).split(".")[1];
    expect(await ask(`${header}.${other}.${signature}`)).toEqual({
      ...{ status: 401, said: "urn:signet:problem:token-not-accepted" },
    });
  });

  test("of an issuer only the namespaces that are its own", async () => {
    expect(await ask(await olderToken("ES256", makePod("team-a", "web", node)))).toMatchObject({ status: 201 });
    expect(await ask(await olderToken("ES256", makePod("kube-system", "web", node)))).toEqual({
      ...{ status: 403, said: "urn:signet:problem:identity-not-entitled" },
    });
  });

  test("one without node binding frees no other from it", async () => {
    const token = await bound.token(sleep);
    const refused = { status: 403, said: "urn:signet:problem:node-not-entitled" };
    expect(await ask(token)).toEqual(refused);
    expect(await ask(token, await olderToken("ES256", makePod("mesh", "agent", node)))).toEqual(refused);
    expect(await ask(token, await bound.token(makePod("mesh", "agent", makeNode("node-2"))))).toEqual(refused);
    expect(await ask(token, await bound.token(makePod("mesh", "agent", node)))).toEqual({
      ...{ status: 201, said: "spiffe://cluster.local/ns/foo/sa/sleep" },
    });
  });
});
