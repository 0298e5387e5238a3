import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { madeIssuer } from "../../../test/support/made-issuer.ts";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { nodeCrypto } from "../entry/node/crypto.ts";
import { authenticate } from "./caller.ts";
import { discoverJwkSet } from "./fetch-keys.ts";
import { LoadedKeys } from "./key-source.ts";
import { type Issuer, TokenVerifier } from "./service-account.ts";

/** Tokens and discovery documents as the Kubernetes versions and the clouds make them, with other names and keys. */
const now = 1_762_000_000;
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const jwk = { use: "sig", kty: "RSA", kid: "DqVL8n", alg: "RS256", ...publicKey.export({ format: "jwk" }) };

function tokenOf(claims: object, header: object = { alg: "RS256", kid: "DqVL8n" }): string {
  const content = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${content}.${sign("sha256", Buffer.from(content), privateKey).toString("base64url")}`;
}

const pod = { name: "sleep-7656cf8794-x2zp4", uid: "1b2c3d4e-5f60-4718-8a9b-0c1d2e3f4a5b" };
const serviceaccount = { name: "sleep", uid: "8d1f6a1e-2222-4333-8444-555566667777" };
const node = { name: "ip-10-0-1-17.ec2.internal", uid: "0f0b7c7a-6f57-4f7e-9b0e-1d5b2d1c7a11" };
const times = { exp: now + 3_600, iat: now, nbf: now };
const rest = { sub: "system:serviceaccount:foo:sleep", aud: ["signet-ca"] };

/** 1.21, when bound tokens became stable, to 1.29: no jti, no node. */
const since121 = { ...rest, ...times, "kubernetes.io": { namespace: "foo", pod, serviceaccount } };
/** 1.30 and newer (KEP-4193). */
const since130 = {
  ...{ ...rest, ...times, jti: "6f2b1f3e-9d2b-4a3c-8d8c-0f4a4f0a9b5e" },
  "kubernetes.io": { namespace: "foo", node, pod, serviceaccount },
};
/** A token of 1.30 whose node object is gone, or was not there yet. */
const nodeNotFound = { ...since130, "kubernetes.io": { ...since130["kubernetes.io"], node: { name: node.name } } };

const eks = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E";
const gke = "https://container.googleapis.com/v1/projects/acme-prod/locations/europe-west1/clusters/main";
const aks =
  "https://westeurope.oic.prod-aks.azure.com/0a1b2c3d-1111-2222-3333-444455556666/5aced6d5-4299-421b-84a9-6638aebbf4f0/";
const kubeadm = "https://kubernetes.default.svc.cluster.local";
const openshift = "https://kubernetes.default.svc";

const eksDocument = {
  ...{ issuer: eks, jwks_uri: `${eks}/keys`, authorization_endpoint: "urn:kubernetes:programmatic_authorization" },
  ...{ response_types_supported: ["id_token"], subject_types_supported: ["public"], claims_supported: ["sub", "iss"] },
  id_token_signing_alg_values_supported: ["RS256"],
};
const plainDocument = (issuer: string, jwksUri: string) => ({
  ...{ issuer, jwks_uri: jwksUri, response_types_supported: ["id_token"], subject_types_supported: ["public"] },
  id_token_signing_alg_values_supported: ["RS256"],
});

interface Form {
  readonly form: string;
  readonly issuer: string;
  readonly claims: object;
  /** What the web has of this issuer, by URL. */
  readonly web: Readonly<Record<string, unknown>>;
  /** What a certificate can hang on: both uids, or the pod's alone. */
  readonly gives: { readonly jti: boolean; readonly node: boolean };
}

const keys = { keys: [jwk] };
const forms: readonly Form[] = [
  {
    form: "kubeadm 1.21 to 1.29",
    ...{ issuer: kubeadm, claims: since121, gives: { jti: false, node: false } },
    // Its jwks_uri names the API server's own address.
    web: {
      [`${kubeadm}/.well-known/openid-configuration`]: plainDocument(kubeadm, "https://172.18.0.2:6443/openid/v1/jwks"),
      "https://172.18.0.2:6443/openid/v1/jwks": keys,
    },
  },
  {
    form: "kubeadm 1.30 and newer",
    ...{ issuer: kubeadm, claims: since130, gives: { jti: true, node: true } },
    web: {
      [`${kubeadm}/.well-known/openid-configuration`]: plainDocument(kubeadm, "https://172.18.0.2:6443/openid/v1/jwks"),
      "https://172.18.0.2:6443/openid/v1/jwks": keys,
    },
  },
  {
    form: "a pod whose node the API server did not find",
    ...{ issuer: openshift, claims: nodeNotFound, gives: { jti: true, node: false } },
    web: {
      [`${openshift}/.well-known/openid-configuration`]: plainDocument(openshift, `${openshift}/openid/v1/jwks`),
      [`${openshift}/openid/v1/jwks`]: keys,
    },
  },
  {
    form: "EKS",
    ...{ issuer: eks, claims: since130, gives: { jti: true, node: true } },
    web: { [`${eks}/.well-known/openid-configuration`]: eksDocument, [`${eks}/keys`]: keys },
  },
  {
    form: "GKE",
    ...{ issuer: gke, claims: since130, gives: { jti: true, node: true } },
    web: {
      [`${gke}/.well-known/openid-configuration`]: plainDocument(gke, `${gke}/jwks`),
      // Two keys while one takes the other's place, with what Google adds to them.
      [`${gke}/jwks`]: { keys: [{ ...jwk, kid: "older" }, jwk], cacheHeader: { directive: ["public"] } },
    },
  },
  {
    form: "AKS, whose issuer ends with a slash",
    ...{ issuer: aks, claims: since130, gives: { jti: true, node: true } },
    web: {
      [`${aks}.well-known/openid-configuration`]: plainDocument(aks, `${aks}openid/v1/jwks`),
      [`${aks}openid/v1/jwks`]: keys,
    },
  },
  {
    form: "a token that kubelet got with a longer life for old clients",
    issuer: kubeadm,
    claims: { ...since130, "kubernetes.io": { ...since130["kubernetes.io"], warnafter: now + 3_607 } },
    gives: { jti: true, node: true },
    web: {
      [`${kubeadm}/.well-known/openid-configuration`]: plainDocument(kubeadm, `${kubeadm}/openid/v1/jwks`),
      [`${kubeadm}/openid/v1/jwks`]: keys,
    },
  },
];

function verifierOf({ issuer: name, web }: Form, changes: Partial<Issuer> = {}) {
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    return url in web ? Response.json(web[url]) : new Response("{}", { status: 404 });
  };
  const options = { issuer: name, clock: () => now, logger: makeLogger() };
  const keySource = new LoadedKeys({ ...options, load: () => discoverJwkSet(fetch, name) });
  const issuer = madeIssuer({ issuer: name, keys: keySource, agents: new Set(["mesh/agent"]), ...changes });
  return { asked, verifier: new TokenVerifier([issuer], () => now, nodeCrypto) };
}

describe.each(forms)("$form", (form) => {
  const { issuer, claims, web, gives } = form;
  const token = tokenOf({ ...claims, iss: issuer });
  const agent = tokenOf({
    ...{ ...claims, iss: issuer, sub: "system:serviceaccount:mesh:agent" },
    "kubernetes.io": {
      ...(claims as typeof since130)["kubernetes.io"],
      ...{ namespace: "mesh", serviceaccount: { name: "agent", uid: "a" }, pod: { name: "agent-1", uid: "agent" } },
    },
  });

  test("its keys are found by discovery, and the token gives its pod", async () => {
    const { verifier, asked } = verifierOf(form);
    const { claims: read } = await verifier.verify(token);
    expect(asked).toEqual(Object.keys(web));
    expect(read).toMatchObject({ issuer, namespace: "foo", serviceAccount: "sleep", podUid: pod.uid });
    expect({ jti: read.tokenId !== undefined, node: read.nodeUid !== undefined }).toEqual(gives);
  });

  test(`node binding ${gives.node ? "holds" : "cannot hold, and refuses: it has to be turned off"}`, async () => {
    const tokens = { workload: token, node: agent };
    const bound = authenticate(tokens, verifierOf(form).verifier);
    if (gives.node) expect((await bound).agent?.podUid).toBe("agent");
    else await expect(bound).rejects.toMatchObject({ code: "node-not-entitled" });
    expect((await authenticate(tokens, verifierOf(form, { agents: "off" }).verifier)).workload.podUid).toBe(pod.uid);
  });

  test("an issuer that differs by a slash at its end is another one", async () => {
    const other = issuer.endsWith("/") ? issuer.slice(0, -1) : `${issuer}/`;
    const { verifier } = verifierOf(form);
    await expect(verifier.verify(tokenOf({ ...claims, iss: other }))).rejects.toMatchObject({
      code: "token-not-accepted",
    });
    // Nor can the configuration call it so: the discovery document has the other name.
    const named = verifierOf({ ...form, issuer: other }).verifier.verify(tokenOf({ ...claims, iss: other }));
    await expect(named).rejects.toMatchObject({ code: "issuer-unavailable" });
  });
});

test("the token of a Secret, which has no end and no pod, is refused whatever its issuer is called", async () => {
  const legacy = {
    iss: "kubernetes/serviceaccount",
    "kubernetes.io/serviceaccount/namespace": "foo",
    "kubernetes.io/serviceaccount/secret.name": "sleep-token-5x2zp",
    "kubernetes.io/serviceaccount/service-account.name": "sleep",
    "kubernetes.io/serviceaccount/service-account.uid": serviceaccount.uid,
    sub: "system:serviceaccount:foo:sleep",
  };
  const form = {
    ...{ form: "legacy", issuer: legacy.iss, claims: legacy, gives: { jti: false, node: false } },
    web: {},
  };
  const found = { find: async () => (await import("./jwk-set.ts")).JwkSet.parse(keys).find(undefined, "RS256") };
  const { verifier } = verifierOf(form, { keys: { ...madeIssuer().keys, ...found } });
  await expect(verifier.verify(tokenOf(legacy))).rejects.toMatchObject({ code: "token-not-accepted" });
});

test("the default token of a pod, which names the API server for its audience, is refused", async () => {
  const [form] = forms;
  if (form === undefined) throw new TypeError("there are forms");
  const { verifier } = verifierOf(form);
  const year = { aud: [kubeadm], exp: now + 31_536_000 };
  await expect(verifier.verify(tokenOf({ ...since130, ...year, iss: kubeadm }))).rejects.toMatchObject({
    code: "token-not-accepted",
  });
});
