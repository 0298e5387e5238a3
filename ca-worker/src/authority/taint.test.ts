import { parseCertificate } from "@signet/shared/certificate";
import { decodeSinglePem } from "@signet/shared/pem";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { beforeAll, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { spiffeBundle } from "../respond/spiffe-bundle.ts";
import { trustBundle } from "../routes/trust-bundle.ts";
import type { AuthorityDocument, AuthorityEntry } from "./document.ts";
import { taintedKeyIdsOf } from "./load.ts";
import { makeAuthority } from "./make/authority.ts";
import { AuthoritySource } from "./source.ts";
import { AuthoritySources } from "./sources.ts";

const trustDomain = TrustDomain.parse("cluster.local");
const now = Date.parse("2026-11-24T12:00:00Z") / 1000;

let entries: AuthorityEntry[];
beforeAll(async () => {
  entries = await Promise.all(
    ["first", "second"].map(async (id) => {
      const [entry] = (await makeAuthority({ trustDomain, now })).document.authorities;
      return { ...(entry as AuthorityEntry), id };
    }),
  );
});

function documentOf(...states: AuthorityEntry["state"][]): AuthorityDocument {
  const authorities = states.map((state, index) => ({ ...(entries[index] as AuthorityEntry), state }));
  return { version: 1, sequence: 7, authorities };
}

function sourceOf(read: () => AuthorityDocument, clock = () => now) {
  return new AuthoritySource({
    store: { read: () => JSON.stringify(read()) },
    ...{ trustDomain, refreshHintSeconds: 300, crypto: nodeCrypto, clock, logger: makeLogger() },
  });
}

const keyIdOf = (entry: AuthorityEntry | undefined) =>
  parseCertificate(decodeSinglePem(entry?.chain[0] ?? "", ["CERTIFICATE"])).subjectKeyIdentifier;

test("the key of a tainted authority's issuing certificate is named, its root's and all others' are not", async () => {
  const { bundle } = await sourceOf(() => documentOf("tainted", "active")).current();
  expect(bundle.taintedKeyIds).toEqual([keyIdOf(entries[0])]);
  expect(keyIdOf(entries[0])).toMatch(/^[0-9a-f]{40}$/);
  expect(bundle.roots).toHaveLength(2);
});

test("two entries of one key are one", () => {
  const document = documentOf("tainted");
  const twice = [...document.authorities, ...document.authorities.map((entry) => ({ ...entry, id: "again" }))];
  expect(taintedKeyIdsOf({ ...document, authorities: twice })).toEqual([keyIdOf(entries[0])]);
});

test("without a tainted authority the bundle says nothing of it", async () => {
  const { bundle } = await sourceOf(() => documentOf("active", "retiring")).current();
  expect(bundle).not.toHaveProperty("taintedKeyIds");
});

test("the SPIFFE bundle is the same with and without", async () => {
  const [tainted, retiring] = await Promise.all(
    (["tainted", "retiring"] as const).map((state) => sourceOf(() => documentOf(state, "active")).current()),
  );
  expect(spiffeBundle((tainted ?? expect.fail()).bundle)).toEqual(spiffeBundle((retiring ?? expect.fail()).bundle));
});

test("a taint changes the etag of the JSON, even under the same sequence, and no other", async () => {
  let state: AuthorityEntry["state"] = "retiring";
  let clock = now;
  const app = trustBundle(
    new AuthoritySources(
      sourceOf(
        () => documentOf(state, "active"),
        () => clock,
      ),
    ),
  );
  const etagOf = async (accept: string) => (await app.request("/", { headers: { accept } })).headers.get("etag");
  const [json, pem] = [await etagOf("application/json"), await etagOf("application/x-pem-file")];
  state = "tainted";
  clock += 30;
  const response = await app.request("/", { headers: { "if-none-match": json ?? "" } });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ taintedKeyIds: [keyIdOf(entries[0])] });
  expect(await etagOf("application/x-pem-file")).toBe(pem);
});
