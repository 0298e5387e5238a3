import { createPublicKey, randomBytes } from "node:crypto";
import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { encodePem } from "@signet/shared/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { authorityFor, startCaInProcess } from "../support/ca-in-process.ts";
import { attribute, commonName, dnsName, makeCsr, makeKey, publicKeyDer, uriName } from "../support/csr.ts";
import { type EventReceiver, startEventReceiver } from "../support/event-receiver.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";

/**
 * Whatever a client puts where, on purpose or by mistake: no sink, no log line and no answer shows it. Each place gets
 * a secret of its own, so that a leak tells where it came in.
 */

const node = makeNode("node-1");
const sleep = makePod("foo", "sleep", node);
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const caKey = "the CA's own key";
let issuer: TokenIssuer;
let stranger: TokenIssuer;
let receiver: EventReceiver;
let ca: Awaited<ReturnType<typeof startCaInProcess>>;
const secrets = new Map<string, string>();
let answers = "";
/** A library that quotes what it was given, as some do. */
let breakCrypto: string | undefined;

beforeAll(async () => {
  issuer = await TokenIssuer.create();
  stranger = await TokenIssuer.create("https://stranger.example");
  receiver = await startEventReceiver();
  const open = await authorityFor("cluster.local");
  const siem = secret("the sink's authorization");
  const { read } = open("env:A") ?? { read: () => "" };
  // The authority document has the CA's key in plain.
  const document = JSON.parse(await read()) as { authorities: { key: unknown }[] };
  keep(caKey, JSON.stringify(document.authorities[0]?.key).slice(60, 160));
  ca = await startCaInProcess(
    {
      ...caConfig({ keys: issuer.jwks }),
      audit: { sinks: [{ type: "log" }, { type: "https", url: receiver.url, authorization: "env:SIEM" }] },
    },
    {
      open: (location) => (location === "env:SIEM" ? { read: () => `Bearer ${siem}` } : open(location)),
      crypto: {
        ...nodeCrypto,
        sha256(data) {
          if (breakCrypto === undefined) return nodeCrypto.sha256(data);
          throw new TypeError(`cannot hash ${breakCrypto}`);
        },
      },
    },
  );
});
afterAll(() => receiver.stop());

function keep(place: string, text: string): string {
  expect(text.length, place).toBeGreaterThanOrEqual(16);
  secrets.set(`${secrets.size} ${place}`, text);
  return text;
}

/** Looks like an API key. */
function secret(place: string, bytes = 12): string {
  return keep(place, `k3y${randomBytes(bytes).toString("hex")}`);
}

/** Each part counts: the last one alone makes the others valid. */
function keepToken(place: string, token: string): string {
  for (const part of token.split(".")) if (part.length >= 16) keep(place, part);
  return token;
}

function keepCsr(place: string, csr: string): string {
  for (const line of csr.split("\n")) if (/^[A-Za-z0-9+/=]{16,}$/.test(line)) keep(place, line);
  return csr;
}

interface Sent {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function send({ path = "/v1/certificates", method = "POST", headers = {}, body }: Sent): Promise<number> {
  const response = await ca.fetch(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(method !== "GET" && method !== "HEAD" && { body: body ?? "{}" }),
  });
  const own = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  // A certificate that was granted holds its public key, as it should.
  if (response.status !== 201) answers += `${own}\n${await response.text()}\n`;
  return response.status;
}

const validTokens = async (): Promise<Record<string, string>> => ({
  authorization: `Bearer ${keepToken("a pod's token", await issuer.token(sleep))}`,
  [nodeTokenHeader]: keepToken("an agent's token", await issuer.token(agent)),
});
const validBody = () => JSON.stringify({ csr: keepCsr("a CSR", makeCsr()) });
const withToken = async (authorization: string) => ({ ...(await validTokens()), authorization });

/** A request with a secret at every place that its maker knows. */
const makers: Record<string, () => Promise<Sent>> = {
  "all that is right": async () => ({ headers: await validTokens(), body: validBody() }),
  "headers that nobody knows": async () => ({
    headers: {
      ...(await validTokens()),
      [`x-${secret("a header's name")}`]: secret("a header's value"),
      cookie: `session=${secret("a cookie")}`,
      "user-agent": secret("user-agent"),
      traceparent: secret("traceparent"),
      "x-request-id": secret("x-request-id"),
      "idempotency-key": secret("idempotency-key"),
    },
    body: validBody(),
  }),
  "another scheme": async () => ({
    headers: await withToken(`Basic ${secret("basic credentials")}`),
    body: validBody(),
  }),
  "a token that is none": async () => ({ headers: await withToken(`Bearer ${secret("no token")}`), body: validBody() }),
  "an agent's token that is none": async () => ({
    headers: { ...(await validTokens()), [nodeTokenHeader]: secret("no agent token") },
    body: validBody(),
  }),
  "a stranger's token": async () => ({
    headers: await withToken(`Bearer ${keepToken("a stranger's token", await stranger.token(sleep))}`),
    body: validBody(),
  }),
  "the tokens the wrong way round": async () => {
    const { authorization = "", [nodeTokenHeader]: nodeToken = "" } = await validTokens();
    return { headers: { authorization: `Bearer ${nodeToken}`, [nodeTokenHeader]: authorization.slice(7) } };
  },
  "a content-type": async () => ({
    headers: { ...(await validTokens()), "content-type": `text/${secret("content-type")}` },
    body: validBody(),
  }),
  "a content-encoding": async () => ({
    headers: { ...(await validTokens()), "content-encoding": secret("content-encoding") },
    body: validBody(),
  }),
  "a path": async () => ({ path: `/v1/certificates/${secret("a path")}`, method: "GET" }),
  "a token as path": async () => ({ path: `/v1/${keepToken("a path", await issuer.token(sleep))}` }),
  "a query": async () => ({
    path: `/v1/certificates?token=${secret("a query")}`,
    headers: await validTokens(),
    body: validBody(),
  }),
  "a query of the bundle": async () => ({
    path: `/v1/trust-bundle?trustDomain=${secret("a trust domain")}`,
    headers: { "if-none-match": secret("if-none-match"), accept: `text/${secret("accept")}` },
    method: "GET",
  }),
  "an accept of the bundle": async () => ({
    path: "/v1/trust-bundle",
    headers: { "if-none-match": secret("if-none-match"), accept: `text/${secret("accept")}` },
    method: "GET",
  }),
  "a body that is no JSON": async () => ({ headers: await validTokens(), body: secret("a body") }),
  "a body that breaks off": async () => ({ headers: await validTokens(), body: `{"csr": "${secret("half a body")}` }),
  "a body that is a text": async () => ({ headers: await validTokens(), body: `"${secret("a text as body")}"` }),
  "a name in the body": async () => ({ headers: await validTokens(), body: `{"${secret("a JSON key")}": 1}` }),
  "a short name in the body": async () => ({ headers: await validTokens(), body: `{"${secret("a JSON key", 7)}": 1}` }),
  "a token as name": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: "x", [keepToken("a JSON key", await issuer.token(sleep))]: 1 }),
  }),
  "a name twice": async () => {
    const name = secret("a JSON key twice");
    return { headers: await validTokens(), body: `{"${name}": 1, "${name}": 2}` };
  },
  "values of wrong types": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: [secret("a list for a CSR")], ttlSeconds: secret("a text for a number") }),
  }),
  "a text for a CSR": async () => ({ headers: await validTokens(), body: JSON.stringify({ csr: secret("no CSR") }) }),
  "PEM of another kind": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({
      csr: keepCsr("a private key", makeKey().export({ format: "pem", type: "pkcs8" }).toString()),
    }),
  }),
  "a PEM label": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: encodePem(secret("a PEM label").toUpperCase(), new Uint8Array(40)) }),
  }),
  "names in a CSR": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({
      csr: makeCsr({
        subject: commonName(secret("a common name")),
        names: [dnsName(secret("a DNS name")), uriName(`https://${secret("a URI")}`)],
        attributes: [attribute("1.2.840.113549.1.9.7", secret("a challenge password"))],
      }),
    }),
  }),
  "an identity in a CSR": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: makeCsr({ uris: [`spiffe://cluster.local/ns/${secret("an identity")}/sa/x`] }) }),
  }),
  "a CSR of a key that is not allowed": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: keepCsr("an RSA CSR", makeCsr({ key: makeKey("rsa2048") })) }),
  }),
  "a CSR that another key signed": async () => ({
    headers: await validTokens(),
    body: JSON.stringify({ csr: keepCsr("a forged CSR", makeCsr({ signWith: makeKey() })) }),
  }),
  "a library that quotes": async () => {
    breakCrypto = secret("an error of a library");
    return { headers: await validTokens(), body: validBody() };
  },
  "items of a batch": async () => {
    const { [nodeTokenHeader]: nodeToken = "" } = await validTokens();
    return {
      path: "/v1/certificates/batch",
      headers: { [nodeTokenHeader]: nodeToken },
      body: JSON.stringify({
        requests: [
          { token: secret("a token of an item"), csr: makeCsr() },
          { token: keepToken("a token of an item", await stranger.token(sleep)), csr: makeCsr() },
          { token: await issuer.token(sleep), csr: secret("a CSR of an item") },
          { token: await issuer.token(sleep), csr: "x", [secret("a name in an item")]: secret("a value in an item") },
          [secret("an item that is a list")],
          secret("an item that is a text"),
        ],
      }),
    };
  },
  "a batch with a name too many": async () => ({
    path: "/v1/certificates/batch",
    headers: await validTokens(),
    body: JSON.stringify({ requests: secret("no list"), [secret("a name beside the list")]: 1 }),
  }),
};

/** Every claim and every member of a header, in tokens that are signed by the right key and in such that are not. */
const claims = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "kubernetes.io", "extra"];
const members = ["alg", "kid", "typ", "jku", "jwk", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc", "extra"];
for (const sign of ["rs256", "none"] as const) {
  // A verified token's own name is what it is recorded by.
  for (const claim of claims.filter((name) => name !== "jti" || sign === "none")) {
    makers[`claim ${claim} of a token signed with ${sign}`] = async () => {
      const value = secret(`claim ${claim}`);
      const overrides = {
        sign,
        claims: { [claim]: claim === "extra" ? { [secret("a claim's name")]: value } : value },
      };
      return { headers: await withToken(`Bearer ${await issuer.token(sleep, overrides)}`), body: validBody() };
    };
  }
  for (const part of ["namespace", "serviceaccount", "pod", "node"]) {
    makers[`claim kubernetes.io.${part} of a token signed with ${sign}`] = async () => {
      const value = `${secret(part)} ${secret(part)}`;
      const bound = { namespace: "foo", node, pod: sleep.pod, serviceaccount: { name: "sleep", uid: "u" } };
      const wrong = part === "namespace" ? value : { name: value, uid: value };
      const overrides = { sign, claims: { "kubernetes.io": { ...bound, [part]: wrong } } };
      return { headers: await withToken(`Bearer ${await issuer.token(sleep, overrides)}`), body: validBody() };
    };
  }
  // The library signs none with these; they are looked at before a signature is.
  for (const member of members.filter((name) => sign === "none" || !["crit", "b64"].includes(name))) {
    makers[`${member} in the header of a token signed with ${sign}`] = async () => {
      const value = secret(`header ${member}`);
      const list = ["crit", "x5c"].includes(member);
      const overrides = { sign, header: { [member]: list ? [value] : member === "jwk" ? { k: value } : value } };
      return { headers: await withToken(`Bearer ${await issuer.token(sleep, overrides)}`), body: validBody() };
    };
  }
}

describe("no secret is in what the CA tells", () => {
  test("whatever is sent, wherever it stands", async () => {
    const statuses = new Set<number>();
    let looked = { log: 0, sink: 0, answers: 0 };
    for (const [name, make] of Object.entries(makers)) {
      const sent = await make();
      statuses.add(await send(sent));
      breakCrypto = undefined;
      await ca.flush();
      const told = { log: ca.tail(), sink: receiver.text(), answers };
      for (const [where, all] of Object.entries(told)) {
        const text = all.slice(looked[where as keyof typeof told]);
        const leaks = [...secrets].filter(([, value]) => holds(text, value)).map(([place]) => place);
        expect({ where, leaks }, `a request with ${name}`).toEqual({ where, leaks: [] });
      }
      looked = { log: told.log.length, sink: told.sink.length, answers: told.answers.length };
    }
    // The requests were as different as they look, and were recorded.
    expect([...statuses].sort()).toEqual([200, 201, 400, 401, 403, 404, 415, 500]);
    expect(receiver.events.length).toBeGreaterThan(Object.keys(makers).length);
    expect(secrets.size).toBeGreaterThan(200);
  });

  test("also by a public key, of which certificates alone speak", async () => {
    const key = makeKey();
    const spki = Buffer.from(publicKeyDer(key)).toString("base64");
    const { x = "" } = createPublicKey(key).export({ format: "jwk" });
    await send({ headers: await validTokens(), body: JSON.stringify({ csr: makeCsr({ key }) }) });
    await ca.flush();
    expect(holds(ca.tail() + receiver.text(), spki.slice(40, 80))).toBe(false);
    expect(holds(ca.tail() + receiver.text(), x)).toBe(false);
  });
});

/** As it is, in another case, or behind an escape or an encoding that is easily undone. */
function holds(text: string, value: string): boolean {
  const lower = text.toLowerCase();
  return [value, encodeURIComponent(value), Buffer.from(value).toString("base64url").slice(0, -2)].some((form) =>
    lower.includes(form.toLowerCase()),
  );
}
