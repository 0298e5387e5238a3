import { X509Certificate } from "node:crypto";
import { verifyAnswer } from "@signet/node-agent/ca/answer";
import { readAuthority } from "@signet/node-agent/ca/bundle";
import { type Certificate, certificate, nodeTokenHeader } from "@signet/shared/ca-api";
import { parseCertificate } from "@signet/shared/certificate";
import { SignetError } from "@signet/shared/errors";
import { decodeSinglePem } from "@signet/shared/pem";
import { SpiffeId } from "@signet/shared/spiffe-id";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { authorityFor, startCaInProcess } from "../support/ca-in-process.ts";
import { dnsName, type KeyKind, makeCsr, makeKey, publicKeyDer } from "../support/csr.ts";
import { makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { holdToDocument } from "./hold-to-document.ts";

const node = makeNode("node-1");
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const csrs = new Map<KeyKind, string>();
const place = "file:deny.json";
const denied = { status: 403, code: "identity-not-entitled" };
let east: TokenIssuer;
let west: TokenIssuer;
let openAuthority: Awaited<ReturnType<typeof authorityFor>>;

beforeAll(async () => {
  [east, west] = await Promise.all([TokenIssuer.create("https://east"), TokenIssuer.create("https://west")]);
  openAuthority = await authorityFor("cluster.local");
});

/** Keys are dear to make, RSA ones above all. */
function csrOf(kind: KeyKind): string {
  const csr = csrs.get(kind) ?? makeCsr({ key: makeKey(kind) });
  csrs.set(kind, csr);
  return csr;
}

interface Asked {
  readonly issuer?: TokenIssuer;
  readonly csr?: string;
  readonly ttlSeconds?: number;
  readonly token?: string;
}

/** A CA of two clusters with this policy; the test sets its clock, and what its deny list holds. */
async function startCa(policy: object, denyList: unknown = {}, ownDnsNames: readonly string[] = []) {
  const state = { ahead: 0, denyList, reads: 0 };
  const [issuer] = caConfig({ keys: east.jwks, issuer: east.issuer }).issuers;
  const config = {
    ...caConfig({ keys: east.jwks }),
    issuers: [issuer, { ...issuer, issuer: west.issuer, keys: west.jwks }],
    policy,
  };
  const ca = await startCaInProcess(config, {
    ownDnsNames,
    clock: () => Date.now() / 1000 + state.ahead,
    open: (location) => (location === place ? { read } : openAuthority(location)),
  });
  const fetchHeld = await holdToDocument(ca);
  async function read() {
    state.reads++;
    if (state.denyList instanceof Error) throw state.denyList;
    return JSON.stringify(state.denyList);
  }
  async function headers(issuer: TokenIssuer) {
    return { "content-type": "application/json", [nodeTokenHeader]: await issuer.token(agent) };
  }
  /** The answer to a pod that asks for a certificate, and the code of a problem. */
  async function ask(pod: PodIdentity, { issuer = east, csr = csrOf("p256"), ttlSeconds, token }: Asked = {}) {
    const authorization = `Bearer ${token ?? (await issuer.token(pod))}`;
    const response = await fetchHeld("/v1/certificates", {
      ...{ method: "POST", headers: { ...(await headers(issuer)), authorization } },
      body: JSON.stringify({ csr, ttlSeconds }),
    });
    const body = (await response.json()) as Partial<Certificate> & { type?: string };
    return { status: response.status, code: body.type?.replace("urn:signet:problem:", ""), body, response };
  }
  async function issue(pod: PodIdentity, asked: Asked = {}): Promise<Certificate> {
    const { status, body } = await ask(pod, asked);
    expect(status).toBe(201);
    return v.parse(certificate, body);
  }
  async function askBatch(pods: readonly PodIdentity[]): Promise<number[]> {
    const requests = await Promise.all(pods.map(async (pod) => ({ token: await east.token(pod), csr: csrOf("p256") })));
    const response = await fetchHeld("/v1/certificates/batch", {
      ...{ method: "POST", headers: await headers(east), body: JSON.stringify({ requests }) },
    });
    const { results } = (await response.json()) as { results: { status: number }[] };
    return results.map(({ status }) => status);
  }
  return { ca: { ...ca, fetch: fetchHeld }, state, ask, issue, askBatch };
}

const pod = (namespace: string, serviceAccount: string) => makePod(namespace, serviceAccount, node);
const leafOf = ({ certificateChain: [leaf = ""] }: Certificate) =>
  parseCertificate(decodeSinglePem(leaf, ["CERTIFICATE"]));
const lifeOf = ({ notAfter }: Certificate, now: number) => Math.round(Date.parse(notAfter) / 1000 - now);

describe("rules", () => {
  const policy = {
    default: "deny",
    rules: [
      { name: "no-admins", effect: "deny", serviceAccounts: ["admin*"] },
      { name: "west-web", effect: "allow", issuers: ["https://west"], namespaces: ["web"] },
      { name: "no-web", effect: "deny", namespaces: ["web"] },
      { name: "teams", effect: "allow", namespaces: ["team-*", "web"] },
    ],
  };

  test("decide in their order, by issuer, namespace and account", async () => {
    const { ca, ask } = await startCa(policy);
    for (const { who, issuer, status, rule } of [
      { who: pod("team-a", "sleep"), issuer: east, status: 201, rule: "teams" },
      { who: pod("team-a", "sleep"), issuer: west, status: 201, rule: "teams" },
      { who: pod("team-a", "admin-2"), issuer: east, status: 403, rule: "no-admins" },
      { who: pod("web", "admin"), issuer: west, status: 403, rule: "no-admins" },
      { who: pod("web", "sleep"), issuer: west, status: 201, rule: "west-web" },
      { who: pod("web", "sleep"), issuer: east, status: 403, rule: "no-web" },
      { who: pod("team", "sleep"), issuer: east, status: 403, rule: "no rule" },
      { who: pod("foo", "sleep"), issuer: west, status: 403, rule: "no rule" },
    ]) {
      const { response, ...answer } = await ask(who, { issuer });
      expect({ who, status: answer.status }).toEqual({ who, status });
      // Who is refused is not told by what; who reads the log is.
      if (status === 403) expect(JSON.stringify(answer.body)).not.toContain(rule);
      const told = ca
        .tail()
        .split("\n")
        .filter((line) => line.includes(response.headers.get("x-request-id") ?? "?"));
      expect(told.at(-1)).toContain(rule);
    }
  });

  test("that are not there allow everybody, where that is said", async () => {
    const { ask } = await startCa({ default: "allow" });
    expect(await ask(pod("anything", "at-all"))).toMatchObject({ status: 201 });
  });

  test("hold in a batch for each of its items", async () => {
    const { askBatch } = await startCa(policy);
    expect(await askBatch([pod("team-a", "a"), pod("foo", "a"), pod("team-a", "admin")])).toEqual([201, 403, 403]);
  });

  test("say which keys, and how long certificates live", async () => {
    const { ask, issue } = await startCa({
      default: "allow",
      rules: [
        { name: "old", effect: "allow", namespaces: ["old"], keys: ["rsa"], defaultTtl: "10m", maxTtl: "20m" },
        { name: "brief", effect: "allow", namespaces: ["brief"], maxTtl: "5m" },
        { name: "long", effect: "allow", namespaces: ["long"], maxTtl: "72h" },
      ],
    });
    const refused = { status: 400, code: "key-not-allowed" };
    expect(await ask(pod("old", "a"))).toMatchObject(refused);
    expect(await ask(pod("brief", "a"), { csr: csrOf("rsa2048") })).toMatchObject(refused);
    const now = Math.floor(Date.now() / 1000);
    for (const { namespace, csr = csrOf("p256"), ttlSeconds, life } of [
      { namespace: "old", csr: csrOf("rsa2048"), life: 600 },
      { namespace: "old", csr: csrOf("rsa2048"), ttlSeconds: 3_600, life: 1_200 },
      { namespace: "brief", life: 300 },
      { namespace: "brief", ttlSeconds: 60, life: 60 },
      { namespace: "long", life: 3_600 },
      { namespace: "long", ttlSeconds: 80 * 3_600, life: 72 * 3_600 },
      { namespace: "foo", csr: csrOf("p384"), ttlSeconds: 80 * 3_600, life: 24 * 3_600 },
    ]) {
      const asked = ttlSeconds === undefined ? { csr } : { csr, ttlSeconds };
      const difference = lifeOf(await issue(pod(namespace, "a"), asked), now) - life;
      // The seconds that the test itself takes.
      expect(difference).toBeGreaterThanOrEqual(0);
      expect(difference).toBeLessThan(60);
    }
  });
});

describe("DNS names", () => {
  const policy = {
    default: "allow",
    rules: [
      {
        ...{ name: "services", effect: "allow", namespaces: ["foo"] },
        dnsNames: ["{serviceAccount}.{namespace}.svc", "{serviceAccount}.{namespace}.svc.cluster.local"],
      },
    ],
  };
  const names = ["sleep.foo.svc", "sleep.foo.svc.cluster.local"];

  test("stand beside the SPIFFE ID in a certificate that agents take", async () => {
    const { issue } = await startCa(policy);
    const key = makeKey();
    const answer = await issue(pod("foo", "sleep"), { csr: makeCsr({ key }) });
    const uri = "spiffe://cluster.local/ns/foo/sa/sleep";
    expect(leafOf(answer).subjectAltName).toEqual({ critical: true, uris: [uri], dnsNames: names, others: 0 });
    const openssl = new X509Certificate(answer.certificateChain[0] ?? "");
    expect(openssl.subjectAltName).toBe(`URI:${uri}, ${names.map((name) => `DNS:${name}`).join(", ")}`);
    expect(openssl.checkHost("sleep.foo.svc")).toBe("sleep.foo.svc");
    expect(openssl.checkHost("foo.svc")).toBeUndefined();
    const roots = answer.trustBundle.roots.map((pem) => readAuthority(decodeSinglePem(pem, ["CERTIFICATE"])));
    const leaf = verifyAnswer(answer, {
      spiffeId: SpiffeId.parse(uri),
      publicKey: publicKeyDer(key),
      bundle: { ...answer.trustBundle, roots, pem: "", taintedKeyIds: new Set(), learnedAt: 0 },
      ttlSeconds: undefined,
      now: Date.now() / 1000,
    });
    expect(leaf.serialNumber).toBe(answer.serialNumber);
  });

  test("are in no certificate without a rule that gives them", async () => {
    const { issue } = await startCa(policy);
    expect(leafOf(await issue(pod("bar", "sleep"))).subjectAltName).toMatchObject({ dnsNames: [], others: 0 });
  });

  test("are not for a CSR to ask for, not even its own", async () => {
    const { ask } = await startCa(policy);
    const csr = makeCsr({ names: [dnsName("sleep.foo.svc")] });
    expect(await ask(pod("foo", "sleep"), { csr })).toMatchObject({ status: 400, code: "csr-not-allowed" });
  });

  test("that are the CA's own server's are for no workload", async () => {
    const { ask } = await startCa(policy, {}, ["ca.foo.svc"]);
    expect(await ask(pod("foo", "ca"))).toMatchObject(denied);
    expect(await ask(pod("foo", "sleep"))).toMatchObject({ status: 201 });
  });

  test("that an account's name does not fit into keep it from a certificate without them", async () => {
    const { ask } = await startCa(policy);
    expect(await ask(pod("foo", "a.b"))).toMatchObject(denied);
  });
});

describe("a deny list", () => {
  const policy = { default: "allow", rules: [{ name: "all", effect: "allow" }], denyLists: [place] };
  const sleep = pod("foo", "sleep");

  test.each([
    { by: "SPIFFE ID", list: () => ({ spiffeIds: ["spiffe://cluster.local/ns/foo/sa/sleep"] }) },
    { by: "the token", list: (tokenId: string) => ({ tokenIds: [tokenId] }) },
    { by: "the pod", list: () => ({ podUids: [sleep.pod.uid] }) },
    { by: "the node", list: () => ({ nodeUids: [node.uid] }) },
    { by: "the agent's pod", list: () => ({ podUids: [agent.pod.uid] }) },
  ])("denies by $by within 30 s, without a deployment, repeated requests too", async ({ list }) => {
    const { state, ask } = await startCa(policy);
    const token = await east.token(sleep, { claims: { jti: "token-7" } });
    expect(await ask(sleep, { token })).toMatchObject({ status: 201 });
    state.denyList = list("token-7");
    state.ahead = 30;
    expect(await ask(sleep, { token })).toMatchObject(denied);
    // And lets them back in.
    state.denyList = {};
    state.ahead = 60;
    expect(await ask(sleep, { token })).toMatchObject({ status: 201 });
  });

  test("is stronger than any rule, and hits nobody else", async () => {
    const { ask, askBatch } = await startCa(policy, { podUids: [sleep.pod.uid] });
    expect(await ask(sleep)).toMatchObject(denied);
    expect(await ask(pod("foo", "sleep"))).toMatchObject({ status: 201 });
    expect(await askBatch([pod("foo", "sleep"), sleep])).toEqual([201, 403]);
  });

  test("goes on denying while it cannot be read", async () => {
    const { state, ask } = await startCa(policy, { podUids: [sleep.pod.uid] });
    expect(await ask(sleep)).toMatchObject(denied);
    for (const broken of [new SignetError("source-unavailable", "gone"), { podUid: [] }, "nothing"]) {
      state.denyList = broken;
      state.ahead += 600;
      expect(await ask(sleep)).toMatchObject(denied);
    }
  });

  test("that could never be read lets nothing be signed, and says so to whoever may hear it", async () => {
    const { ca, state, ask, askBatch } = await startCa(policy, new SignetError("source-unavailable", "gone"));
    const { response, ...answer } = await ask(sleep);
    expect(answer).toMatchObject({ status: 503, code: "cannot-sign" });
    expect(response.headers.get("retry-after")).toBe("5");
    expect(JSON.stringify(answer.body)).not.toContain(place);
    expect(await askBatch([sleep, sleep])).toEqual([503, 503]);
    const ready = await ca.fetch("/readyz");
    expect({ status: ready.status, body: await ready.json() }).toMatchObject({
      status: 503,
      body: { status: "not ready", code: "cannot-sign", reason: expect.stringContaining(place) },
    });
    state.denyList = {};
    state.ahead = 5;
    expect((await ca.fetch("/readyz")).status).toBe(200);
    expect(await ask(sleep)).toMatchObject({ status: 201 });
  });

  test("is read once for a whole batch", async () => {
    const { state, askBatch } = await startCa(policy);
    expect(await askBatch([pod("a", "a"), pod("a", "b"), pod("a", "c")])).toEqual([201, 201, 201]);
    expect(state.reads).toBe(1);
  });
});
