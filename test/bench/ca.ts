import { sign } from "node:crypto";
import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { webCrypto } from "@signet/ca/webcrypto";
import { ecdsaSignatureToRaw } from "@signet/shared/der";
import { caConfig } from "../support/ca-config.ts";
import { makeKey, publicKeyDer } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { cpuPerRun, median } from "./cpu.ts";
import { appInProcess } from "./in-process.ts";
import { Workloads } from "./workloads.ts";

const rounds = 7;
const perRound = 320;
const batchSize = 64;

/** The cryptography of a certificate and nothing else: RS256 verify, SPKI import, P-256 verify, P-256 sign. */
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

/** CPU for each certificate through the app, as a multiple of the bare cryptography, in interleaved rounds. */
export async function benchCaCpu(): Promise<void> {
  const issuer = await TokenIssuer.create();
  const workloads = await Workloads.make(issuer);
  const bare = await bareOperations(issuer);
  const config = caConfig({ keys: issuer.jwks, store: "env:AUTHORITY" });
  const onNode = await appInProcess(config, { crypto: nodeCrypto });
  const onWebCrypto = await appInProcess(config, { crypto: webCrypto });
  console.log("CA: CPU for each certificate, through the whole app in process");
  for (const width of [1, 16]) {
    const times = { bare: [] as number[], node: [] as number[], web: [] as number[], batch: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      const bareMs = await cpuPerRun(bare, perRound, width);
      const nodeMs = await cpuPerRun(() => onNode(workloads.single()), perRound, width);
      const webMs = await cpuPerRun(() => onWebCrypto(workloads.single()), perRound, width);
      const batchMs = await cpuPerRun(() => onNode(workloads.batch(batchSize)), perRound / batchSize, 1);
      if (round < 0) continue; // warms up
      times.bare.push(bareMs);
      times.node.push(nodeMs);
      times.web.push(webMs);
      times.batch.push(batchMs / batchSize);
    }
    const told = (list: readonly number[]) => {
      const ratio = median(list.map((ms, round) => ms / (times.bare[round] ?? 1)));
      return `${median(list).toFixed(3)} ms, ratio ${ratio.toFixed(2)}`;
    };
    console.log(
      `  ${String(width).padStart(2)} at once: ${told(times.node)} (target 1.5) to four operations bare by WebCrypto, ` +
        `${median(times.bare).toFixed(3)} ms; batches of ${batchSize}: ${told(times.batch)} (target 1.3); ` +
        `with WebCrypto alone: ${told(times.web)}`,
    );
  }
}
