import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { spiffeIdOf } from "../support/envoy-config.ts";
import { makeUnknown } from "./authorities.ts";
import { Invariants, type Push, type PushedSecret, type WatchedPod } from "./invariants.ts";
import { type SigningAuthority, signed } from "./wrong-answers.ts";

const now = Date.now();
const sleep: WatchedPod = { name: "sleep", uid: "uid-of-sleep", spiffeId: spiffeIdOf("foo", "sleep") };
const replica: WatchedPod = { name: "replica", uid: "uid-of-replica", spiffeId: sleep.spiffeId };

let authority: SigningAuthority;
let other: SigningAuthority;
let invariants: Invariants;
let nonce = 0;

beforeAll(async () => {
  authority = await makeUnknown();
  other = await makeUnknown();
});

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

function identity(change: Partial<Parameters<typeof signed>[0]> & { key?: KeyObject; shownKey?: KeyObject } = {}) {
  const key = change.key ?? newKey();
  const { certificateChain } = signed({
    authority,
    spiffeId: sleep.spiffeId,
    publicKey: createPublicKey(key).export({ type: "spki", format: "der" }),
    notBefore: now / 1_000 - 60,
    notAfter: now / 1_000 + 30,
    ...change,
  });
  return {
    name: "default",
    kind: "tlsCertificate",
    chain: certificateChain.join(""),
    key: (change.shownKey ?? key).export({ type: "pkcs8", format: "pem" }) as string,
    roots: "",
  } satisfies PushedSecret;
}

function bundle(...of: SigningAuthority[]): PushedSecret {
  return {
    name: "ROOTCA",
    kind: "validationContext",
    chain: "",
    key: "",
    roots: of.map(({ chain }) => chain.at(-1)).join(""),
  };
}

function push(secret: PushedSecret, change: Partial<Push> = {}): void {
  invariants.take({
    at: now,
    stream: `${secret.name}#1`,
    pod: sleep,
    version: `v${++nonce}`,
    secrets: [secret],
    ...change,
  });
}

describe("the invariants of the chaos run", () => {
  beforeEach(() => {
    invariants = new Invariants();
  });

  it("are content with good pushes", () => {
    push(bundle(authority));
    push(identity());
    push(identity());
    push(identity(), { pod: replica, stream: "default#2" });
    push(bundle(authority, other), { pod: replica, stream: "ROOTCA#2" });
    push(bundle(authority, other));
    push(identity({ authority: other }));
    invariants.look(now + 29_000);
    expect(invariants.violations).toEqual([]);
    expect(invariants).toMatchObject({ pushes: 7, secrets: 7 });
    expect(invariants.serials.size).toBe(4);
  });

  it("are content with the same secret under the same version on another stream", () => {
    const same = identity();
    push(bundle(authority));
    push(same, { stream: "default#1", version: "a" });
    push(same, { stream: "default#2", version: "a" });
    expect(invariants.violations).toEqual([]);
  });

  const bad: [string, string, () => void][] = [
    ["a key of another certificate", "the key does not belong", () => push(identity({ shownKey: newKey() }))],
    ["a foreign identity", "is for URI:spiffe", () => push(identity({ spiffeId: spiffeIdOf("bar", "sleep") }))],
    ["an expired certificate", "ran out at", () => push(identity({ notAfter: now / 1_000 - 1 }))],
    ["a certificate from the future", "begins at", () => push(identity({ notBefore: now / 1_000 + 5 }))],
    ["a chain to another root", "does not lead to the bundle", () => push(identity({ authority: other }))],
    ["an empty push", "an empty push", () => push(identity(), { secrets: [] })],
    ["a push without a version", "without a version", () => push(identity(), { version: "" })],
    ["a bundle without roots", "cannot be read", () => push(bundle())],
    ["a leaf as a root", "no self-signed CA", () => push({ ...bundle(authority), roots: identity().chain })],
    ["rubbish", "cannot be read", () => push({ ...identity(), key: "rubbish" })],
  ];
  it.each(bad)("tell %s", (_what, rule, make) => {
    push(bundle(authority));
    make();
    expect(invariants.violations).toContainEqual(expect.stringContaining(rule));
  });

  it("tell a key that another pod has had", () => {
    const key = newKey();
    push(bundle(authority));
    push(identity({ key }));
    push(identity({ key }), { pod: replica, stream: "default#2" });
    expect(invariants.violations).toEqual([
      expect.stringContaining(`its key was pushed to the pod ${sleep.uid} before`),
      expect.stringContaining("its key belongs to the certificate"),
    ]);
  });

  it("tell a key that is used for the next certificate too", () => {
    const key = newKey();
    push(bundle(authority));
    push(identity({ key }));
    push(identity({ key }));
    expect(invariants.violations).toEqual([expect.stringContaining("its key belongs to the certificate")]);
  });

  it("tell the same content twice on one stream, under one version or two", () => {
    const same = identity();
    push(bundle(authority));
    push(same, { version: "a" });
    push(same, { version: "a" });
    expect(invariants.violations).toEqual([expect.stringContaining("default is pushed again unchanged")]);
    push(same, { version: "b", stream: "default#2" });
    expect(invariants.violations[1]).toContain("one content of default has versions a and b");
  });

  it("tell two contents under one version", () => {
    push(bundle(authority));
    push(identity(), { version: "a" });
    push(identity(), { version: "a" });
    expect(invariants.violations).toEqual([expect.stringContaining("version a stands for two contents of default")]);
  });

  it("tell a bundle under which the identity from before does not stand", () => {
    push(identity({ authority: other }));
    push(bundle(authority));
    expect(invariants.violations).toEqual([expect.stringContaining("the chain from before does not lead")]);
  });

  it("tell once of a certificate that has run out in use, unless its successor came", () => {
    push(bundle(authority));
    push(identity());
    invariants.look(now + 31_000);
    invariants.look(now + 32_000);
    expect(invariants.violations).toEqual([expect.stringContaining("has run out in use")]);
    push(identity({ notAfter: now / 1_000 + 60 }));
    invariants.look(now + 33_000);
    expect(invariants.violations).toHaveLength(1);
  });
});
