import { join } from "node:path";
import { json } from "node:stream/consumers";
import type { Certificate, Problem } from "@signet/shared/ca-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ReviewSpec, startFakeApiServer } from "../support/api-server.ts";
import { caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { startCaInWorkerd } from "../support/ca-workerd.ts";
import { makeCsr } from "../support/csr.ts";
import { startHttp } from "../support/listening.ts";
import { makeNode, makePod, type PodIdentity, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

/** What the cluster of a test answers about a token, by the pod that has it. */
interface Cluster {
  review: (spec: ReviewSpec) => unknown;
  isDown: boolean;
}

interface Running {
  readonly ca: RunningCa;
  readonly cluster: Cluster;
  readonly stop: () => Promise<void>;
}

const pod = (name: string) => makePod("foo", name, makeNode("node-1"));
const living = pod("sleep");
const statusOf = ({ pod: { uid }, node, serviceAccount }: PodIdentity) => ({
  authenticated: true,
  audiences: ["signet-ca"],
  user: {
    username: `system:serviceaccount:foo:${serviceAccount}`,
    extra: {
      "authentication.kubernetes.io/pod-uid": [uid],
      "authentication.kubernetes.io/node-uid": [node.uid],
    },
  },
});

let folder: WorkFolder;
let issuer: TokenIssuer;
beforeAll(async () => {
  folder = await makeWorkFolder("token-review");
  issuer = await TokenIssuer.create();
});
afterAll(() => folder.remove());

function configured(tokenReview: object) {
  const config = caConfig({ keys: issuer.jwks });
  return { ...config, issuers: config.issuers.map((one) => ({ ...one, nodeBinding: "off", tokenReview })) };
}

/** On Node: an API server with a certificate authority of its own, and a token in a file. */
async function onNode(): Promise<Running> {
  const api = await startFakeApiServer(folder.path);
  const cluster: Cluster = { review: () => ({}), isDown: false };
  api.review = (spec) => cluster.review(spec);
  api.trick = () => (cluster.isDown ? "hang-up" : undefined);
  const tokenReview = {
    url: `https://127.0.0.1:${api.environment.KUBERNETES_SERVICE_PORT}`,
    token: `file:${join(folder.path, "token")}`,
    caCertificate: `file:${join(folder.path, "ca.crt")}`,
  };
  const ca = await startCaProcess({ folder: folder.path, config: configured(tokenReview) });
  return { ca, cluster, stop: () => Promise.all([ca.stop(), api.stop()]).then(() => {}) };
}

/** In workerd: an API server that it reaches without one, and a token in a secret. */
async function inWorkerd(): Promise<Running> {
  const cluster: Cluster = { review: () => ({}), isDown: false };
  const server = await startHttp(async (request, response) => {
    const { spec } = (await json(request)) as { spec: ReviewSpec };
    if (cluster.isDown || request.headers.authorization !== "Bearer rev1ewer") request.socket.destroy();
    else response.writeHead(201).end(JSON.stringify({ kind: "TokenReview", spec, status: cluster.review(spec) }));
  });
  const tokenReview = { url: server.url, token: "env:REVIEWER" };
  const ca = await startCaInWorkerd({
    ...{ folder: folder.path, config: configured(tokenReview), secrets: { REVIEWER: "rev1ewer" } },
  });
  return { ca, cluster, stop: () => ca.stop().then(server.stop) };
}

describe.each([
  { platform: "Node", start: onNode },
  { platform: "workerd", start: inWorkerd },
])("token reviews on $platform", ({ start }) => {
  let running: Running;
  beforeAll(async () => {
    running = await start();
  });
  afterAll(() => running?.stop());

  async function ask(who: PodIdentity, token?: string) {
    const response = await fetch(`${running.ca.url}/v1/certificates`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token ?? (await issuer.token(who))}` },
      body: JSON.stringify({ csr: makeCsr() }),
    });
    const body = (await response.json()) as Certificate & Problem;
    const wait = response.headers.get("retry-after");
    return { status: response.status, said: body.spiffeId ?? body.type, wait };
  }

  test("a certificate for a pod that is there, none for one that is gone, and 503 when nobody can say", async () => {
    const { cluster, ca } = running;
    cluster.review = ({ audiences = [] }) => (audiences.join() === "signet-ca" ? statusOf(living) : undefined);
    const good = await issuer.token(living);
    const given = { status: 201, said: "spiffe://cluster.local/ns/foo/sa/sleep", wait: null };
    expect(await ask(living, good)).toEqual(given);

    // The answer is about another pod, whatever the token says.
    const refused = { status: 401, said: "urn:signet:problem:token-not-accepted", wait: null };
    expect(await ask(pod("sleep"))).toEqual(refused);
    cluster.review = () => ({ authenticated: false, error: "service account token has been invalidated" });
    expect(await ask(living)).toEqual(refused);

    cluster.isDown = true;
    const unavailable = { status: 503, said: "urn:signet:problem:issuer-unavailable", wait: expect.any(String) };
    expect(await ask(living)).toEqual(unavailable);
    // Who was accepted just now need not be asked about.
    expect(await ask(living, good)).toEqual(given);
    expect(ca.tail()).not.toMatch(/rev1ewer|first-token|eyJ/);
  });
});
