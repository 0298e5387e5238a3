import { createHmac, randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { toBase64Url } from "@signet/shared/base64";
import { CompactSign, calculateJwkThumbprint, exportJWK, exportSPKI, generateKeyPair, type JWK } from "jose";
import { startHttp } from "./listening.ts";

export const kubernetesIssuer = "https://kubernetes.default.svc.cluster.local";
export const caAudience = "signet-ca";

/** Who a token speaks for: a pod that runs under a service account on a node. */
export interface PodIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string };
  readonly node: { readonly name: string; readonly uid: string };
}

export interface TokenOverrides {
  /** Laid over the claims; a claim that is set to undefined is left out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Laid over the header, likewise. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** How it is signed; `hs256-public-key` is the confusion attack with the issuer's public key PEM as the secret. */
  readonly sign?: "rs256" | "none" | "hs256-public-key";
  /** Seconds from now to `exp`. */
  readonly lifetime?: number;
}

/** A pod of our own making, under the name and the uids that Kubernetes would give it. */
export function makePod(
  namespace: string,
  serviceAccount: string,
  node: PodIdentity["node"],
  name = `${serviceAccount}-${randomUUID().slice(0, 8)}`,
): PodIdentity {
  return { namespace, serviceAccount, node, pod: { name, uid: randomUUID() } };
}

export function makeNode(name: string): PodIdentity["node"] {
  return { name, uid: randomUUID() };
}

type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];

/** Stands where the API server stands in a cluster: makes service account tokens and publishes its keys. */
export class TokenIssuer {
  readonly issuer: string;
  readonly jwks: { readonly keys: readonly JWK[] };
  readonly publicKeyPem: string;
  readonly #key: SigningKey;
  readonly #kid: string;

  private constructor(issuer: string, key: SigningKey, publicJwk: JWK & { kid: string }, publicKeyPem: string) {
    this.issuer = issuer;
    this.jwks = { keys: [publicJwk] };
    this.publicKeyPem = publicKeyPem;
    this.#key = key;
    this.#kid = publicJwk.kid;
  }

  static async create(issuer = kubernetesIssuer): Promise<TokenIssuer> {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { modulusLength: 2048 });
    const jwk = await exportJWK(publicKey);
    const kid = await calculateJwkThumbprint(jwk);
    return new TokenIssuer(issuer, privateKey, { ...jwk, kid, alg: "RS256", use: "sig" }, await exportSPKI(publicKey));
  }

  async token(who: PodIdentity, overrides: TokenOverrides = {}): Promise<string> {
    const { claims = {}, header = {}, sign = "rs256", lifetime = 3_600 } = overrides;
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      aud: [caAudience],
      exp: now + lifetime,
      iat: now,
      iss: this.issuer,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace: who.namespace,
        node: who.node,
        pod: who.pod,
        serviceaccount: { name: who.serviceAccount, uid: serviceAccountUid(who) },
      },
      nbf: now,
      sub: `system:serviceaccount:${who.namespace}:${who.serviceAccount}`,
      ...claims,
    };
    const algorithm = sign === "rs256" ? "RS256" : sign === "none" ? "none" : "HS256";
    const protectedHeader = { alg: algorithm, kid: this.#kid, ...header };
    if (sign === "rs256" && protectedHeader.alg === "RS256") {
      return await new CompactSign(encode(payload)).setProtectedHeader(protectedHeader).sign(this.#key);
    }
    const signed = `${toBase64Url(encode(protectedHeader))}.${toBase64Url(encode(payload))}`;
    if (sign === "none") return `${signed}.`;
    return `${signed}.${createHmac("sha256", this.publicKeyPem).update(signed).digest("base64url")}`;
  }

  /** Writes a new token into `file` as the kubelet does: whole or not at all, over the one before. */
  async writeToken(file: string, who: PodIdentity, overrides: TokenOverrides = {}): Promise<void> {
    await writeWhole(file, await this.token(who, overrides));
  }

  async writeJwks(file: string): Promise<void> {
    await writeWhole(file, JSON.stringify(this.jwks));
  }

  /** Serves the key set on 127.0.0.1, for a CA that is configured with a URL. */
  async serveJwks(): Promise<{ readonly url: string; readonly requests: () => number; stop(): Promise<void> }> {
    let requests = 0;
    const { url, stop } = await startHttp((_request, response) => {
      requests++;
      response.setHeader("content-type", "application/json").end(JSON.stringify(this.jwks));
    });
    return {
      url: `${url}/openid/v1/jwks`,
      requests: () => requests,
      stop,
    };
  }
}

// Kubernetes gives a service account one uid for its life; made from its name here, so that all its pods agree on it.
function serviceAccountUid({ namespace, serviceAccount }: PodIdentity): string {
  const hex = createHmac("sha256", "service account").update(`${namespace}/${serviceAccount}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

async function writeWhole(file: string, text: string): Promise<void> {
  const next = `${file}.${randomUUID()}`;
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, file);
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
