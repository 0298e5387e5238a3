import { type Certificate, certificate, nodeTokenHeader, trustBundle } from "@signet/shared/ca-api";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { decodeSinglePem } from "@signet/shared/pem";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { makeAuthorityText, startCaInProcess } from "../support/ca-in-process.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { holdToDocument } from "./hold-to-document.ts";

const edge = "edge.example.com";
const node = makeNode("node-1");
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const pod = makePod("foo", "sleep", node);
let own: TokenIssuer;
let foreign: TokenIssuer;
const documents: Record<string, string> = {};

beforeAll(async () => {
  own = await TokenIssuer.create();
  foreign = await TokenIssuer.create("https://edge.example.com");
  documents["env:OWN"] = await makeAuthorityText("cluster.local");
  documents["env:EDGE"] = await makeAuthorityText(edge);
});

/** A CA of two trust domains; the test changes what is in a store. */
async function startCa(changes: Record<string, string> = {}) {
  const config = caConfig({ keys: own.jwks, store: "env:OWN" });
  const [issuer] = config.issuers;
  const stores = { ...documents, ...changes };
  const ca = await startCaInProcess(
    {
      ...config,
      trustDomains: [{ name: edge, authority: { store: "env:EDGE" } }],
      issuers: [issuer, { ...issuer, issuer: foreign.issuer, keys: foreign.jwks, trustDomain: edge }],
    },
    { open: (location) => ({ read: () => stores[location] ?? "" }) },
  );
  const fetch = await holdToDocument(ca);
  const ask = async (cluster: TokenIssuer, uris: readonly string[] = []) =>
    fetch("/v1/certificates", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await cluster.token(pod)}`,
        [nodeTokenHeader]: await cluster.token(agent),
      },
      body: JSON.stringify({ csr: makeCsr({ uris }) }),
    });
  const bundleOf = async (query = "") => v.parse(trustBundle, await (await fetch(`/v1/trust-bundle${query}`)).json());
  return { fetch, ask, bundleOf };
}

const certificateOf = (pem: string | undefined) => parseCertificate(decodeSinglePem(pem ?? "", ["CERTIFICATE"]));
const issuingOf = ({ certificateChain }: Certificate) => certificateOf(certificateChain[1]);

describe("a CA of two trust domains", () => {
  test("signs for each by its own authority, and gives its own roots with it", async () => {
    const { ask, bundleOf } = await startCa();
    const [mine, theirs] = [await bundleOf(), await bundleOf(`?trustDomain=${edge}`)];
    expect([mine.trustDomain, theirs.trustDomain]).toEqual(["cluster.local", edge]);
    expect(mine.roots).not.toEqual(theirs.roots);
    for (const [cluster, bundle] of [
      [own, mine],
      [foreign, theirs],
    ] as const) {
      const answer = v.parse(certificate, await (await ask(cluster)).json());
      expect(answer.spiffeId).toBe(`spiffe://${bundle.trustDomain}/ns/foo/sa/sleep`);
      expect(readSvid(certificateOf(answer.certificateChain[0])).toString()).toBe(answer.spiffeId);
      expect(answer.trustBundle).toEqual(bundle);
      expect(issuingOf(answer).issuer).toEqual(certificateOf(bundle.roots[0]).subject);
      expect(issuingOf(answer).subjectAltName?.uris).toEqual([`spiffe://${bundle.trustDomain}`]);
    }
  });

  test("lets no cluster speak for the other's trust domain", async () => {
    const { ask } = await startCa();
    for (const [cluster, name] of [
      [own, edge],
      [foreign, "cluster.local"],
    ] as const) {
      const response = await ask(cluster, [`spiffe://${name}/ns/foo/sa/sleep`]);
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ type: "urn:signet:problem:identity-not-entitled" });
    }
  });

  test("publishes the bundle of each, as PEM and for federation too, and no other's", async () => {
    const { fetch, bundleOf } = await startCa();
    const theirs = await bundleOf(`?trustDomain=${edge}`);
    expect(await bundleOf("?trustDomain=cluster.local")).toEqual(await bundleOf());
    const pem = await fetch(`/v1/trust-bundle?trustDomain=${edge}`, { headers: { accept: "application/x-pem-file" } });
    expect(await pem.text()).toBe(theirs.roots.join(""));
    const spiffe = await (await fetch(`/.well-known/spiffe-bundle?trustDomain=${edge}`)).json();
    const { keys } = spiffe as { keys: { x5c: string[] }[] };
    expect(keys.map(({ x5c }) => x5c[0])).toEqual(
      theirs.roots.map((root) => Buffer.from(certificateOf(root).der).toString("base64")),
    );
    for (const path of ["/v1/trust-bundle", "/.well-known/spiffe-bundle"]) {
      for (const name of ["other.example.com", "", "EDGE.example.com", "spiffe://edge.example.com", "__proto__"]) {
        const response = await fetch(`${path}?trustDomain=${encodeURIComponent(name)}`);
        expect([path, name, response.status]).toEqual([path, name, 404]);
        expect(await response.json()).toMatchObject({ type: "urn:signet:problem:not-found" });
      }
      const twice = await fetch(`${path}?trustDomain=${edge}&trustDomain=cluster.local`);
      expect(twice.status).toBe(400);
    }
  });

  test("goes on for one while the other's authority cannot be had, and says so", async () => {
    const { ask, fetch } = await startCa({ "env:EDGE": "{" });
    expect((await ask(own)).status).toBe(201);
    expect((await ask(foreign)).status).toBe(503);
    const ready = await fetch("/readyz");
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      status: "ready",
      trustDomains: [
        { trustDomain: "cluster.local", status: "ready", sequence: 1 },
        { trustDomain: edge, status: "not ready", code: "authority-invalid" },
      ],
    });
    const none = await startCa({ "env:EDGE": "{", "env:OWN": "{" });
    expect((await none.fetch("/readyz")).status).toBe(503);
  });

  test("never signs with an authority whose certificate is for another trust domain than its store is for", async () => {
    const swapped = await startCa({ "env:EDGE": documents["env:OWN"] ?? "" });
    expect((await swapped.ask(foreign)).status).toBe(503);
    expect(await (await swapped.fetch("/readyz")).json()).toMatchObject({
      trustDomains: [
        { status: "ready" },
        { status: "not ready", reason: expect.stringContaining("not for spiffe://edge") },
      ],
    });
  });
});
