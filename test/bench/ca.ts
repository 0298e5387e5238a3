import { sign } from "node:crypto";
import { createApp } from "@signet/ca/app";
import { makeAuthority } from "@signet/ca/authority/make/authority";
import { compose } from "@signet/ca/compose";
import { parseConfig } from "@signet/ca/config";
import type { Crypto } from "@signet/ca/crypto";
import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { systemTimer } from "@signet/ca/entry/timer";
import { webCrypto } from "@signet/ca/webcrypto";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { ecdsaSignatureToRaw } from "@signet/shared/der";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { Agent, request } from "undici";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { startCaProcess } from "../support/ca-process.ts";
import { makeCsr, makeKey, publicKeyDer } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { cpuPerRun, cpuSecondsOf, median } from "./cpu.ts";

const rounds = 7;
const perRound = 320;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Workload {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Requests of many pods on one node, as its agent would send them. */
async function makeWorkloads(issuer: TokenIssuer, count: number): Promise<Workload[]> {
  const node = makeNode("node-1");
  const nodeToken = await issuer.token(makePod(agentServiceAccount.namespace, agentServiceAccount.name, node));
  return Promise.all(
    Array.from({ length: count }, async (_, n) => ({
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await issuer.token(makePod(`ns-${n % 10}`, `account-${n}`, node))}`,
        [nodeTokenHeader]: nodeToken,
      },
      body: JSON.stringify({ csr: makeCsr() }),
    })),
  );
}

/** The four operations of design §8 and nothing else: RS256 verify, SPKI import, P-256 verify, P-256 sign. */
async function bareOperations(issuer: TokenIssuer): Promise<() => Promise<unknown>> {
  const { subtle } = crypto;
  const ecdsa = { name: "ECDSA", namedCurve: "P-256" };
  const sha256 = { name: "ECDSA", hash: "SHA-256" };
  const token = await issuer.token(makePod("foo", "sleep", makeNode("node-1")));
  const signed = new TextEncoder().encode(token.slice(0, token.lastIndexOf(".")));
  const signature = Buffer.from(token.slice(token.lastIndexOf(".") + 1), "base64url");
  const issuerKey = await subtle.importKey(
    "jwk",
    issuer.jwks.keys[0] ?? {},
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    false,
    ["verify"],
  );
  const key = makeKey();
  const spki = publicKeyDer(key).slice();
  const data = crypto.getRandomValues(new Uint8Array(300));
  const proof = ecdsaSignatureToRaw(sign("sha256", data, key), 32);
  const caKey = await subtle.generateKey(ecdsa, false, ["sign", "verify"]);
  return async () => {
    const issued = await subtle.verify("RSASSA-PKCS1-v1_5", issuerKey, signature, signed);
    const imported = await subtle.importKey("spki", spki, ecdsa, false, ["verify"]);
    const possession = await subtle.verify(sha256, imported, proof, data);
    if (!issued || !possession) throw new Error("a signature of the bench does not verify");
    return subtle.sign(sha256, caKey.privateKey, data);
  };
}

async function appWith(issuer: TokenIssuer, platformCrypto: Crypto, workloads: readonly Workload[]) {
  const { document } = await makeAuthority({ trustDomain: TrustDomain.parse("cluster.local"), now: Date.now() / 1000 });
  const text = JSON.stringify(document);
  const config = parseConfig(JSON.stringify(caConfig({ keys: issuer.jwks, store: "env:AUTHORITY" })), "bench");
  const app = createApp(
    compose(config, "bench", {
      clock: () => Date.now() / 1000,
      setTimer: systemTimer,
      fetch,
      logger: silent,
      crypto: platformCrypto,
      open: () => ({ read: () => text }),
      clusterIssuer: undefined,
    }),
  );
  return async (index: number) => {
    const { headers, body } = workloads[index % workloads.length] as Workload;
    const response = await app.fetch(
      new Request("http://ca/v1/certificates", {
        method: "POST",
        headers: { ...headers, "content-length": String(body.length) },
        body,
      }),
    );
    if (response.status !== 201) throw new Error(`the CA answers ${response.status}: ${await response.text()}`);
    await response.text();
  };
}

/** CPU for each certificate through the app, as a multiple of the bare cryptography, in interleaved rounds. */
export async function benchCaCpu(): Promise<void> {
  const issuer = await TokenIssuer.create();
  const workloads = await makeWorkloads(issuer, 200);
  const bare = await bareOperations(issuer);
  const onNode = await appWith(issuer, nodeCrypto, workloads);
  const onWebCrypto = await appWith(issuer, webCrypto, workloads);
  console.log("CA: CPU for each certificate, through the whole app in process");
  for (const width of [1, 16]) {
    const times = { bare: [] as number[], node: [] as number[], web: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      const bareMs = await cpuPerRun(bare, perRound, width);
      const nodeMs = await cpuPerRun(onNode, perRound, width);
      const webMs = await cpuPerRun(onWebCrypto, perRound, width);
      if (round < 0) continue; // warms up
      times.bare.push(bareMs);
      times.node.push(nodeMs);
      times.web.push(webMs);
    }
    const [bareMs, nodeMs, webMs] = [median(times.bare), median(times.node), median(times.web)];
    const ratio = (list: readonly number[]) =>
      median(list.map((ms, round) => ms / (times.bare[round] ?? 1))).toFixed(2);
    console.log(
      `  ${String(width).padStart(2)} at once: ${nodeMs.toFixed(3)} ms; four operations bare (WebCrypto) ${bareMs.toFixed(3)} ms: ` +
        `ratio ${ratio(times.node)} (target 1.5); with WebCrypto alone ${webMs.toFixed(3)} ms: ratio ${ratio(times.web)}`,
    );
  }
}

/** Certificates for each core-second of the server process, over HTTP on loopback. */
export async function benchCaHttp(): Promise<void> {
  const folder = await makeWorkFolder("bench");
  const issuer = await TokenIssuer.create();
  const workloads = await makeWorkloads(issuer, 200);
  const ca = await startCaProcess({ folder: folder.path, config: caConfig({ keys: issuer.jwks }) });
  const dispatcher = new Agent({ connections: 16 });
  console.log("CA: certificates over HTTP, for each core-second of the server process (its own log written to a file)");
  try {
    const send = async (index: number) => {
      const { headers, body } = workloads[index % workloads.length] as Workload;
      const response = await request(`${ca.url}/v1/certificates`, { method: "POST", headers, body, dispatcher });
      if (response.statusCode !== 201) throw new Error(`the CA answers ${response.statusCode}`);
      await response.body.text();
    };
    await cpuPerRun(send, 1_000, 16);
    for (const width of [1, 16]) {
      const count = 3_000;
      const pid = ca.pid ?? 0;
      const [cpu, wall] = [await cpuSecondsOf(pid), performance.now()];
      await cpuPerRun(send, count, width);
      const used = (await cpuSecondsOf(pid)) - cpu;
      const seconds = (performance.now() - wall) / 1_000;
      console.log(
        `  ${String(width).padStart(2)} at once: ${Math.round(count / used)} per core-second (target 1500); ${Math.round(count / seconds)} per second`,
      );
    }
  } finally {
    await dispatcher.close();
    await ca.stop();
    await folder.remove();
  }
}
