import { problemContentType } from "@signet/shared/ca-api";
import { sequence, tlv } from "@signet/shared/der";
import { Oid } from "@signet/shared/oids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  attribute,
  type CsrOptions,
  caTrue,
  commonName,
  dnsName,
  extension,
  ipName,
  mailName,
  makeCsr,
  makeKey,
  rdn,
} from "../support/csr.ts";
import { until } from "../support/poll.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { framingRules, httpRules, targetRules } from "./http-rules.ts";
import { ask, type Bench, plainSockets, platforms, refusalsFor, sleepId, startBench } from "./platforms.ts";
import type { Refusal } from "./refusal.ts";
import { bodyRefusals } from "./refused-bodies.ts";

const hour = 3_600;
const now = () => Math.floor(Date.now() / 1000);
const big = "x".repeat(70_000);

const tokenRefusals: readonly Refusal[] = [
  { rule: "a missing token", request: { token: null }, status: 401, code: "token-missing" },
  { rule: "a missing agent token", request: { nodeToken: null }, status: 401, code: "token-missing" },
  { rule: "a token that is no JWT", request: { token: "abc" }, status: 401, code: "token-not-accepted" },
  {
    rule: "a token over 16 KiB",
    request: { token: { claims: { pad: "x".repeat(13_000) } } },
    status: 401,
    code: "token-not-accepted",
  },
  { rule: "an expired token", request: { token: { lifetime: -1 } }, status: 401, code: "token-not-accepted" },
  { rule: "an expired agent token", request: { nodeToken: { lifetime: -1 } }, status: 401, code: "token-not-accepted" },
  {
    rule: "a token that is not valid yet",
    request: () => ({ token: { claims: { nbf: now() + 300 } } }),
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "a token issued in the future",
    request: () => ({ token: { claims: { iat: now() + 300, nbf: now() } } }),
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "a token that lives longer than the issuer's bound",
    request: { token: { lifetime: 25 * hour } },
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "another audience",
    request: { token: { claims: { aud: ["other"] } } },
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "another audience as a string",
    request: { token: { claims: { aud: "other" } } },
    status: 401,
    code: "token-not-accepted",
  },
  { rule: "no audience", request: { token: { claims: { aud: undefined } } }, status: 401, code: "token-not-accepted" },
  {
    rule: "an empty audience list",
    request: { token: { claims: { aud: [] } } },
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "an unknown issuer",
    request: async ({ sleep }) => ({
      token: await (await TokenIssuer.create("https://evil.example.com")).token(sleep),
    }),
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "our issuer's name under another key",
    request: async ({ sleep, issuer }) => ({ token: await (await TokenIssuer.create(issuer.issuer)).token(sleep) }),
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "another key under our kid",
    request: async ({ sleep, issuer }) => ({
      token: await (await TokenIssuer.create(issuer.issuer)).token(sleep, {
        header: { kid: issuer.jwks.keys[0]?.kid },
      }),
    }),
    status: 401,
    code: "token-not-accepted",
  },
  { rule: "alg none", request: { token: { sign: "none" } }, status: 401, code: "token-not-accepted" },
  {
    rule: "HS256 with the public key",
    request: { token: { sign: "hs256-public-key" } },
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "an agent token of alg none",
    request: { nodeToken: { sign: "none" } },
    status: 401,
    code: "token-not-accepted",
  },
  ...["jwk", "jku", "x5u", "x5c"].map((name) => ({
    rule: `a header with ${name}`,
    request: { token: { header: { [name]: "https://evil.example.com" } } },
    status: 401,
    code: "token-not-accepted",
  })),
  ...["iss", "sub", "iat", "nbf", "exp", "kubernetes.io"].map((claim) => ({
    rule: `no claim ${claim}`,
    request: { token: { claims: { [claim]: undefined } } },
    status: 401,
    code: "token-not-accepted",
  })),
  ...["pod", "serviceaccount", "namespace"].map((part) => ({
    rule: `no kubernetes.io claim ${part}`,
    request: ({ sleep }: Bench) => ({
      token: {
        claims: {
          "kubernetes.io": {
            namespace: sleep.namespace,
            node: sleep.node,
            pod: sleep.pod,
            serviceaccount: { name: sleep.serviceAccount, uid: "u" },
            [part]: undefined,
          },
        },
      },
    }),
    status: 401,
    code: "token-not-accepted",
  })),
  {
    rule: "a sub that is another account than its claims",
    request: { token: { claims: { sub: "system:serviceaccount:foo:admin" } } },
    status: 401,
    code: "token-not-accepted",
  },
  {
    rule: "a namespace that would change the identity's path",
    request: async ({ issuer, node }) => ({ token: await issuer.token(makePod("foo/sa/admin", "sleep", node)) }),
    status: 401,
    code: "token-not-accepted",
  },
];

const nodeRefusals: readonly Refusal[] = [
  {
    rule: "a token of another node",
    request: async ({ issuer }) => ({ token: await issuer.token(makePod("foo", "sleep", makeNode("node-2"))) }),
    status: 403,
    code: "node-not-entitled",
  },
  {
    rule: "a token that names no node",
    request: async ({ issuer, sleep }) => ({
      token: await issuer.token(sleep, {
        claims: {
          "kubernetes.io": { namespace: "foo", pod: sleep.pod, serviceaccount: { name: "sleep", uid: "u" } },
        },
      }),
    }),
    status: 403,
    code: "node-not-entitled",
  },
  {
    rule: "an agent token of an account that is no agent",
    request: async ({ issuer, sleep }) => ({ nodeToken: await issuer.token(sleep) }),
    status: 403,
    code: "node-not-entitled",
  },
  {
    rule: "an agent's token in both places",
    request: async ({ issuer, agent }) => ({ token: await issuer.token(agent) }),
    status: 403,
    code: "node-not-entitled",
  },
];

const csr = (rule: string, code: string, options: CsrOptions | (() => CsrOptions), status = 400): Refusal => ({
  rule,
  code,
  status,
  request: () => ({ csr: makeCsr(typeof options === "function" ? options() : options) }),
});

const csrRefusals: readonly Refusal[] = [
  csr("a signature by another key", "malformed-csr", () => ({ signWith: makeKey() })),
  csr("a spoilt signature", "malformed-csr", { spoil: (der) => der.with(-1, (der.at(-1) ?? 0) ^ 1) }),
  csr("bytes after the end", "malformed-csr", { spoil: (der) => Uint8Array.of(...der, 0) }),
  csr("an indefinite length", "malformed-csr", { spoil: (der) => Uint8Array.of(0x30, 0x80, ...der.subarray(3), 0, 0) }),
  csr("another SPIFFE ID", "identity-not-entitled", { uris: ["spiffe://cluster.local/ns/foo/sa/admin"] }, 403),
  csr("another trust domain", "identity-not-entitled", { uris: ["spiffe://other/ns/foo/sa/sleep"] }, 403),
  csr("its own ID twice", "csr-not-allowed", { uris: [sleepId, sleepId] }),
  csr("a URI that is no SPIFFE ID", "csr-not-allowed", { uris: ["https://example.com"] }),
  csr("a DNS name beside its own ID", "csr-not-allowed", { uris: [sleepId], names: [dnsName("example.com")] }),
  csr("an IP address", "csr-not-allowed", { names: [ipName(127, 0, 0, 1)] }),
  csr("a mail address", "csr-not-allowed", { names: [mailName("a@example.com")] }),
  csr("a mail address in the subject", "csr-not-allowed", { subject: rdn(Oid.emailAddress, "a@example.com") }),
  csr("CA:TRUE", "csr-not-allowed", { extensions: [caTrue] }),
  csr("keyCertSign", "csr-not-allowed", { extensions: [extension(Oid.keyUsage, true, tlv(3, Uint8Array.of(2, 4)))] }),
  csr("an extension of its own", "csr-not-allowed", { extensions: [extension("1.2.3.4", false, sequence())] }),
  csr("two SAN extensions", "malformed-csr", {
    uris: [sleepId],
    extensions: [extension(Oid.subjectAltName, false, sequence())],
  }),
  csr("a challenge password", "csr-not-allowed", {
    // RFC 2985 §5.4.1
    attributes: [attribute("1.2.840.113549.1.9.7", "secret")],
  }),
  csr("a P-521 key", "key-not-allowed", () => ({ key: makeKey("p521") })),
  csr("an RSA key where RSA is not configured", "key-not-allowed", () => ({ key: makeKey("rsa2048") })),
  csr("an RSA key of 1024 bits", "key-not-allowed", () => ({ key: makeKey("rsa1024") })),
  csr("an RSA key with exponent 3", "key-not-allowed", () => ({ key: makeKey("rsaExponent3") })),
  csr("an Ed25519 key where it is not configured", "key-not-allowed", () => ({ key: makeKey("ed25519") })),
  { rule: "a CSR that is no PEM", request: { csr: "hello" }, status: 400, code: "malformed-csr" },
  {
    rule: "two CSRs",
    request: () => ({ csr: makeCsr() + makeCsr() }),
    status: 400,
    code: "malformed-csr",
  },
  {
    rule: "a certificate in place of a CSR",
    request: () => ({ csr: makeCsr().replaceAll("CERTIFICATE REQUEST", "CERTIFICATE") }),
    status: 400,
    code: "malformed-csr",
  },
];

describe.each(platforms)("refusals on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform);
  });
  afterAll(() => bench?.stop());

  test.each(refusalsFor(platform, [...tokenRefusals, ...nodeRefusals, ...csrRefusals, ...bodyRefusals]))(
    "refuse $rule: $status $code",
    async ({ request, status, code }) => {
      const response = await ask(bench, typeof request === "function" ? await request(bench) : request);
      const problem = (await response.json()) as Record<string, unknown>;
      expect({ status: response.status, type: problem.type }).toEqual({ status, type: `urn:signet:problem:${code}` });
      expect(response.headers.get("content-type")).toBe(problemContentType);
      expect(problem.status).toBe(status);
      expect(problem.requestId).toBe(response.headers.get("x-request-id"));
      // 401 and 403 never say why, and no answer holds a token.
      expect("detail" in problem).toBe(status !== 401 && status !== 403);
      if (status === 401) expect(response.headers.get("www-authenticate")).toBe("Bearer");
    },
  );

  test("refuse a body over 64 KiB that says no length", async () => {
    const stream = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 10; n++) controller.enqueue(new TextEncoder().encode(big.slice(0, 10_000)));
        controller.close();
      },
    });
    const response = await ask(bench, { body: stream });
    expect(response.status).toBe(413);
  });

  httpRules(() => bench);
  if (plainSockets.includes(platform)) framingRules(() => bench);
  if (platform === "node") targetRules(() => bench);

  test("a subject in the CSR is not copied", async () => {
    const response = await ask(bench, { csr: makeCsr({ subject: commonName("admin") }) });
    expect(response.status).toBe(201);
  });

  test("no token, CSR or key is in the log", async () => {
    const token = await bench.issuer.token(bench.sleep, { lifetime: -1 });
    await ask(bench, { token });
    // workerd's log comes by way of another process, a moment after the answer.
    await until("the refusal to be logged", () => bench.tail().includes("token-not-accepted"));
    const log = bench.tail();
    expect(log).not.toContain(token.split(".")[1]);
    expect(log).not.toContain(token.split(".")[2]);
    expect(log).not.toMatch(/BEGIN|MII/);
  });
});
