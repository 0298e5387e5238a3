import { SignetError } from "@signet/shared/errors";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import { nodeCrypto } from "../entry/node/crypto.ts";
import type { Caller, Entitlement, Grant } from "../types.ts";
import { RecentCertificates, requestKey, type Signed } from "./recent.ts";

const start = 1_000_000;

function bench(options: { mayWait?: boolean; lifeSeconds?: number } = {}) {
  const { mayWait = true, lifeSeconds = 3_600 } = options;
  const state = { now: start, signatures: 0 };
  const recent = new RecentCertificates({ clock: () => state.now, mayWait });
  const sign = async (): Promise<Signed> => {
    const serialNumber = `${++state.signatures}`;
    await Promise.resolve();
    const issued = { der: new Uint8Array(), serialNumber, notBefore: start, notAfter: state.now + lifeSeconds };
    return { grant: {} as Grant, issued };
  };
  const authority = {};
  const ask = async (key: string, by: object = authority) => {
    const { issued, repeated } = await recent.once(key, by, sign);
    return { serial: issued.serialNumber, repeated };
  };
  return { state, recent, ask, sign, authority };
}

describe("a request that comes again", () => {
  test("gets the certificate that it got, within a minute, and without a second signature", async () => {
    const { state, ask } = bench();
    expect(await ask("a")).toEqual({ serial: "1", repeated: false });
    state.now += 59.9;
    expect(await ask("a")).toEqual({ serial: "1", repeated: true });
    state.now += 0.1;
    expect(await ask("a")).toEqual({ serial: "2", repeated: false });
  });

  test("gets one of its own where anything of it is another", async () => {
    const { ask } = bench();
    expect(await ask("a")).toEqual({ serial: "1", repeated: false });
    expect(await ask("b")).toEqual({ serial: "2", repeated: false });
  });

  test("gets a new one once the authorities have changed, in whatever way", async () => {
    const { ask, authority } = bench();
    await ask("a");
    const changed = { ...authority };
    expect(await ask("a", changed)).toEqual({ serial: "2", repeated: false });
    expect(await ask("a", changed)).toEqual({ serial: "2", repeated: true });
    expect(await ask("a", authority)).toEqual({ serial: "3", repeated: false });
  });

  test("gets one that has nearly all of its life, however short that is", async () => {
    const { state, ask } = bench({ lifeSeconds: 50 });
    await ask("a");
    state.now += 4.9;
    expect(await ask("a")).toMatchObject({ repeated: true });
    state.now += 0.2;
    expect(await ask("a")).toMatchObject({ repeated: false });
  });

  test("is tried anew after a failure", async () => {
    const { ask, recent, authority } = bench();
    const fail = async () => Promise.reject(new SignetError("cannot-sign", "the key does not sign"));
    await expect(recent.once("a", authority, fail)).rejects.toMatchObject({ code: "cannot-sign" });
    expect(await ask("a")).toEqual({ serial: "1", repeated: false });
  });
});

describe("requests at the same time", () => {
  test("share one signature where one may wait for another", async () => {
    const { ask, state } = bench();
    const answers = await Promise.all([ask("a"), ask("a"), ask("b"), ask("a")]);
    expect(state.signatures).toBe(2);
    expect(answers.map(({ serial, repeated }) => `${serial} ${repeated}`)).toEqual([
      "1 false",
      "1 true",
      "2 false",
      "1 true",
    ]);
  });

  test("share the failure, too, and it is over with them", async () => {
    const { ask, recent, authority } = bench();
    const fail = async () => Promise.reject(new SignetError("cannot-sign", "the key does not sign"));
    const failing = [recent.once("a", authority, fail), ask("a")];
    for (const result of await Promise.allSettled(failing)) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "cannot-sign" } });
    }
    expect(await ask("a")).toEqual({ serial: "1", repeated: false });
  });

  test("never wait for one another where that is forbidden, as on Workers", async () => {
    const { ask, state, sign, recent, authority } = bench({ mayWait: false });
    const hanging = recent.once("a", authority, () => new Promise(() => {}));
    expect(await ask("a")).toEqual({ serial: "1", repeated: false });
    await Promise.all([recent.once("b", authority, sign), recent.once("b", authority, sign)]);
    expect(state.signatures).toBe(3);
    // What is done already is no other request's any more.
    expect(await ask("a")).toEqual({ serial: "1", repeated: true });
    void hanging;
  });
});

test("memory is bounded: the oldest go, and what is over goes with them", async () => {
  const { ask, recent, state } = bench();
  for (let n = 0; n <= 4_096; n++) await ask(`${n}`);
  expect(recent.size).toBe(4_096);
  expect(await ask("1")).toMatchObject({ repeated: true });
  expect(await ask("0")).toMatchObject({ repeated: false });
  state.now += 61;
  for (const key of ["a", "b"]) await ask(key);
  expect(recent.size).toBe(4_090);
});

describe("the name of a request", () => {
  const trustDomain = TrustDomain.parse("cluster.local");
  const workload = { issuer: "https://a", subject: "system:serviceaccount:foo:sleep", podUid: "u", expiresAt: 5 };
  const caller = { trustDomain, workload } as Caller;
  const entitlement: Entitlement = {
    spiffeId: SpiffeId.fromSegments(trustDomain, ["ns", "foo", "sa", "sleep"]),
    rule: "default",
    keys: ["p256"],
    defaultTtlSeconds: 3_600,
    maxTtlSeconds: 7_200,
    dnsNames: [],
  };
  const request = { csr: "x", ttlSeconds: 60 };
  const keyOf = (other: { workload?: object; entitlement?: object; request?: object } = {}): Promise<string> =>
    requestKey(
      { ...caller, workload: { ...workload, ...other.workload } } as Caller,
      { ...entitlement, ...other.entitlement },
      { ...request, ...other.request },
      nodeCrypto,
    );

  test("is the same for the same, and a hash", async () => {
    expect(await keyOf()).toBe(await keyOf());
    expect(await keyOf()).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  });

  test.each<[string, Parameters<typeof keyOf>[0]]>([
    ["another CSR", { request: { csr: "y" } }],
    ["another life", { request: { ttlSeconds: 61 } }],
    ["no life", { request: { ttlSeconds: undefined } }],
    ["another issuer", { workload: { issuer: "https://b" } }],
    ["another token of the same pod", { workload: { expiresAt: 6 } }],
    ["another pod of the same account", { workload: { podUid: "v" } }],
    ["another identity by the policy", { entitlement: { spiffeId: SpiffeId.parse("spiffe://cluster.local/x") } }],
    ["another trust domain", { entitlement: { spiffeId: SpiffeId.parse("spiffe://other/ns/foo/sa/sleep") } }],
    ["another rule", { entitlement: { rule: "strict" } }],
    ["a shorter life by the policy", { entitlement: { maxTtlSeconds: 60 } }],
    ["DNS names by the policy", { entitlement: { dnsNames: ["sleep.foo.svc"] } }],
    ["other keys by the policy", { entitlement: { keys: ["p384"] } }],
  ])("is another for %s", async (_rule, other) => {
    expect(await keyOf(other)).not.toBe(await keyOf());
  });
});
