import { SignetError } from "@signet/shared/errors";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { beforeAll, describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { createApp } from "../app.ts";
import { recordingAudit } from "../audit/recording.ts";
import { TokenVerifier } from "../authenticate/service-account.ts";
import { RuleTable } from "../authorize/rules.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { RecentCertificates } from "../repeat/recent.ts";
import { requireIssuer } from "../sign/require-issuer.ts";
import type { AuthorityDocument, AuthorityEntry } from "./document.ts";
import { makeAuthority } from "./make/authority.ts";
import { AuthoritySource, type AuthoritySourceOptions } from "./source.ts";
import { AuthoritySources } from "./sources.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const start = Date.parse("2026-11-24T12:00:00Z") / 1000;
const year = 365 * 86_400;

let first: AuthorityEntry;
let second: AuthorityEntry;
beforeAll(async () => {
  const make = async (id: string) => {
    const [entry] = (await makeAuthority({ trustDomain, now: start })).document.authorities;
    return { ...(entry as AuthorityEntry), id };
  };
  first = await make("first");
  second = await make("second");
});

const documentOf = (sequence: number, ...authorities: AuthorityEntry[]): AuthorityDocument => ({
  version: 1,
  sequence,
  authorities,
});
const inState = (entry: AuthorityEntry, state: AuthorityEntry["state"]): AuthorityEntry => ({ ...entry, state });

/** A source over a store and a clock that the test sets. */
function bench(content: AuthorityDocument | string | Error, options: Pick<AuthoritySourceOptions, "waitUntil"> = {}) {
  const state = { content, reads: 0, now: start };
  const logger = makeLogger();
  const source = new AuthoritySource({
    store: {
      async read() {
        state.reads++;
        if (state.content instanceof Error) throw state.content;
        return typeof state.content === "string" ? state.content : JSON.stringify(state.content);
      },
    },
    trustDomain,
    refreshHintSeconds: 300,
    crypto: nodeCrypto,
    clock: () => state.now,
    logger,
    ...options,
  });
  const active = async () => {
    const { issuer } = await source.current();
    return issuer instanceof SignetError ? issuer.code : issuer.authority.id;
  };
  return { state, source, active, logger };
}
const unavailable = new SignetError("authority-unavailable", "the store is down");

describe("the authorities of an instance", () => {
  test("are read to the end although the request that began it is gone", async () => {
    const kept: Promise<unknown>[] = [];
    const { state, source } = bench(unavailable, { waitUntil: (work) => kept.push(work) });
    await expect(source.current()).rejects.toMatchObject({ code: "authority-unavailable" });
    state.content = documentOf(7, first);
    await source.current();
    state.now += 30;
    await source.current();
    expect(kept).toHaveLength(3);
    // One that fails is told to the request alone.
    await Promise.all(kept);
  });

  test("are read on first use; bundle and issuer come from one document", async () => {
    const { state, source, active } = bench(documentOf(7, inState(second, "prepared"), first));
    expect(state.reads).toBe(0);
    const { bundle } = await source.current();
    expect(bundle).toEqual({
      trustDomain: "cluster.local",
      sequence: 7,
      refreshHintSeconds: 300,
      roots: [second.chain[1], first.chain[1]],
    });
    expect(await active()).toBe("first");
    expect(state.reads).toBe(1);
  });

  test("are read again after 30 s, and change with the document", async () => {
    const { state, source, active } = bench(documentOf(1, first));
    expect(await active()).toBe("first");
    state.content = documentOf(2, inState(first, "retiring"), second);
    state.now += 29.999;
    expect(await active()).toBe("first");
    expect(state.reads).toBe(1);
    state.now += 0.001;
    expect(await active()).toBe("second");
    expect((await source.current()).bundle).toMatchObject({ sequence: 2, roots: [first.chain[1], second.chain[1]] });
    expect(state.reads).toBe(2);
  });

  test("are read again after the clock was set back, which must not freeze them", async () => {
    const { state, source } = bench(documentOf(1, first));
    state.now += 3_600;
    await source.current();
    state.content = documentOf(2, first);
    state.now -= 3_600;
    expect((await source.current()).bundle.sequence).toBe(2);
    await source.current();
    expect(state.reads).toBe(2);
  });

  test("are read by one of those who ask at once; the others go by what is at hand", async () => {
    const { state, source } = bench(documentOf(1, first));
    const before = await source.current();
    state.content = documentOf(2, second);
    state.now += 30;
    const [reader, ...others] = await Promise.all([source.current(), source.current(), source.current()]);
    expect(state.reads).toBe(2);
    expect(reader?.bundle.sequence).toBe(2);
    for (const other of others) expect(other).toBe(before);
  });

  test("are the same for all who read them first, at once", async () => {
    const { source } = bench(documentOf(1, first));
    const [one, other] = await Promise.all([source.current(), source.current()]);
    expect(one).toBe(other);
    expect(await source.current()).toBe(one);
  });

  test("are not made anew while the document stays the same", async () => {
    const { state, source } = bench(documentOf(1, first));
    const before = await source.current();
    state.now += 30;
    expect(await source.current()).toBe(before);
    expect(state.reads).toBe(2);
  });

  test.each<{ rule: string; content: () => AuthorityDocument | string | Error; code: string }>([
    { rule: "the store fails", content: () => unavailable, code: "authority-unavailable" },
    {
      rule: "the store throws something else",
      content: () => new TypeError("fetch failed"),
      code: "authority-unavailable",
    },
    { rule: "the document is not JSON", content: () => "{", code: "authority-invalid" },
    {
      rule: "the document is older than what was served",
      content: () => documentOf(4, second),
      code: "authority-invalid",
    },
    {
      rule: "a root is none",
      content: () => documentOf(6, first, { ...inState(second, "retiring"), chain: ["x", "y"] }),
      code: "authority-invalid",
    },
    {
      rule: "the active key fits another certificate",
      content: () => documentOf(6, { ...second, key: first.key }),
      code: "authority-invalid",
    },
    {
      rule: "the active chain is broken",
      content: () => documentOf(6, { ...second, chain: [second.chain[0] ?? "", first.chain[1] ?? ""] }),
      code: "authority-invalid",
    },
  ])("the last good ones serve while $rule, tried again after 2 s", async ({ content, code }) => {
    const { state, source, active, logger } = bench(documentOf(5, first));
    const before = await source.current();
    state.content = content();
    state.now += 30;
    expect(await source.current()).toBe(before);
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", code, stale: true });
    state.now += 1.999;
    await source.current();
    expect(state.reads).toBe(2);
    state.now += 0.001;
    expect(await source.current()).toBe(before);
    expect(state.reads).toBe(3);
    state.content = documentOf(6, inState(first, "tainted"), second);
    state.now += 2;
    expect(await active()).toBe("second");
  });

  test.each<{ rule: string; content: () => AuthorityDocument | string | Error; code: string }>([
    { rule: "cannot be read", content: () => unavailable, code: "authority-unavailable" },
    { rule: "are not JSON", content: () => "secret", code: "authority-invalid" },
    {
      rule: "have a root that is none",
      content: () => documentOf(1, { ...inState(first, "retiring"), chain: ["x", second.key.pkcs8] }),
      code: "authority-invalid",
    },
    { rule: "do not load", content: () => documentOf(1, { ...first, key: second.key }), code: "authority-invalid" },
  ])("that $rule at first are an error, and tried again at once", async ({ content, code }) => {
    const { state, source, active } = bench(content());
    await expect(source.current()).rejects.toMatchObject({ code });
    state.content = documentOf(1, first);
    expect(await active()).toBe("first");
  });

  test("without an active one the bundle is there, and nothing is signed: cannot-sign", async () => {
    const { source, active, state } = bench(documentOf(1, inState(first, "tainted")));
    const { bundle, issuer } = await source.current();
    expect(bundle.roots).toEqual([first.chain[1]]);
    expect(issuer).toMatchObject({ code: "cannot-sign" });
    expect(() => requireIssuer(issuer)).toThrow(expect.objectContaining({ code: "cannot-sign", retryAfterSeconds: 5 }));
    // The state is taken from a newer document as well as from the first.
    state.content = documentOf(2, first);
    state.now += 30;
    expect(await active()).toBe("first");
    state.content = documentOf(3, inState(first, "tainted"));
    state.now += 30;
    expect(await active()).toBe("cannot-sign");
  });

  test("the same sequence again is taken: it is not older", async () => {
    const { state, active } = bench(documentOf(3, first));
    await active();
    state.content = documentOf(3, second);
    state.now += 30;
    expect(await active()).toBe("second");
  });

  test("an authority that ends while it is held signs no more", async () => {
    const { state, source } = bench(documentOf(1, first));
    const { issuer } = await source.current();
    state.now = start + year;
    const { publicKey } = requireIssuer(issuer).authority;
    const spiffeId = SpiffeId.parse("spiffe://cluster.local/ns/foo/sa/sleep");
    const leaf = { spiffeId, dnsNames: [], publicKey, ttlSeconds: 60 };
    expect(() => requireIssuer(issuer).prepare(leaf)).toThrow(expect.objectContaining({ code: "cannot-sign" }));
  });
});

describe("readiness", () => {
  function app(content: AuthorityDocument | string | Error) {
    const { source, logger } = bench(content);
    return createApp({
      issuers: [],
      verifier: new TokenVerifier([], () => start, nodeCrypto),
      policy: { rules: new RuleTable([]), unmatched: "nothing", denyLists: [], ownDnsNames: new Set() },
      authorities: new AuthoritySources(source),
      limits: {},
      setTimer: () => () => {},
      recent: new RecentCertificates({ clock: () => start, mayWait: true }),
      crypto: nodeCrypto,
      audit: recordingAudit({ log: true, deliveries: [], clock: () => start, logger }),
      logger,
    });
  }

  test("200 and the authority that signs", async () => {
    const response = await app(documentOf(3, first)).request("/readyz");
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 200,
      body: { status: "ready", authority: "first", sequence: 3 },
    });
  });

  test.each<{ rule: string; content: () => AuthorityDocument | string | Error; code: string; bundle: number }>([
    {
      rule: "no authority is active",
      content: () => documentOf(1, inState(first, "retiring")),
      code: "cannot-sign",
      bundle: 200,
    },
    { rule: "there is no authority", content: () => documentOf(1), code: "cannot-sign", bundle: 200 },
    { rule: "the store is down", content: () => unavailable, code: "authority-unavailable", bundle: 503 },
    { rule: "the document is broken", content: () => "{", code: "authority-invalid", bundle: 503 },
  ])("503 with the code while $rule; alive all the same", async ({ content, code, bundle }) => {
    const ca = app(content());
    const response = await ca.request("/readyz");
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 503,
      body: { status: "not ready", code },
    });
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    expect((await ca.request("/healthz")).status).toBe(200);
    expect((await ca.request("/v1/trust-bundle")).status).toBe(bundle);
    expect((await ca.request("/.well-known/spiffe-bundle")).status).toBe(bundle);
  });
});
