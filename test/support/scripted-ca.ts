import { type KeyObject, randomUUID, sign, verify } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { fromBase64Url, toBase64Url } from "@signet/shared/base64";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import { type BatchScript, problemOf, type Reply, type Script, send, spoil } from "./scripted-answers.ts";
import { type Authority, makeAuthority, newKey, publicKeyOf, signLeaf } from "./small-authority.ts";

export interface Pod {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
  readonly nodeUid?: string;
}

export interface SeenRequest {
  readonly token: string;
  readonly nodeToken: string | undefined;
  readonly csr: string;
  readonly ttlSeconds: number | undefined;
}

interface Asked extends Pick<SeenRequest, "token" | "csr"> {
  readonly ttlSeconds?: number;
}

interface Identity {
  /** Signs tokens. */
  readonly tokenKey: ReturnType<typeof newKey>;
  root: Authority;
  intermediate: Authority;
  taintedKeyIds: string[];
  readonly extraRoots: Authority[];
}

function makeIdentity(now: number): Identity {
  const root = makeAuthority("root", now, undefined);
  const intermediate = makeAuthority("intermediate", now, root);
  return { tokenKey: newKey(), root, intermediate, taintedKeyIds: [], extraRoots: [] };
}

export interface ScriptedCaOptions {
  /** Seconds since the epoch. */
  readonly now?: () => number;
  readonly trustDomain?: string;
  readonly leafSeconds?: number;
  /** To come back on the port of one that was stopped. */
  readonly port?: number;
  /** To be the same CA at another URL: its authorities, its tokens. */
  readonly sameAs?: ScriptedCa;
  /** PEM, to be reached over https. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

const encoder = new TextEncoder();
const tokenKeyId = "token-key";

/**
 * A CA over real HTTP that does as it is told, good or bad. It accepts the tokens that it made itself, so that a forged
 * one is refused as the real CA would refuse it.
 */
export class ScriptedCa {
  script: Script = "issue";
  /** Goes before {@link script} for the tokens that it gives one for. */
  scriptFor: (serviceAccount: string) => Script | undefined = () => undefined;
  batchScript: BatchScript = "answer";
  /** Number of items of each request to the batch route, oldest first. */
  readonly batches: number[] = [];
  /** Requests for certificates, oldest first. */
  readonly requests: SeenRequest[] = [];
  bundleRequests = 0;
  issuerRequests = 0;
  connections = 0;
  bundleNotModified = 0;
  bundleDown = false;
  sequence = 1;
  leafSeconds: number;
  /** Seconds by which leaves are back-dated. */
  readonly backdateSeconds = 60;
  readonly #now: () => number;
  readonly #trustDomain: string;
  /** What makes it this CA and no other. */
  readonly identity: Identity;
  readonly #server: Server | HttpsServer;
  readonly #scheme: string;
  readonly #open = new Set<ServerResponse>();
  #url = "";

  private constructor(options: ScriptedCaOptions) {
    this.#now = options.now ?? (() => Date.now() / 1_000);
    this.#trustDomain = options.trustDomain ?? "cluster.local";
    this.leafSeconds = options.leafSeconds ?? 3_600;
    this.identity = options.sameAs?.identity ?? makeIdentity(this.#now());
    const listener: RequestListener = (request, response) => {
      this.#open.add(response);
      response.once("close", () => this.#open.delete(response));
      void this.#answer(request, response);
    };
    const { tls } = options;
    this.#scheme = tls === undefined ? "http" : "https";
    this.#server = tls === undefined ? createServer(listener) : createHttpsServer(tls, listener);
    this.#server.on("connection", () => this.connections++);
  }

  static async start(options: ScriptedCaOptions = {}): Promise<ScriptedCa> {
    const ca = new ScriptedCa(options);
    await ca.listen(options.port ?? 0);
    return ca;
  }

  get url(): string {
    return this.#url;
  }

  get rootPems(): string[] {
    return [this.identity.root, ...this.identity.extraRoots].map(({ der }) => encodePem("CERTIFICATE", der));
  }

  async listen(port = Number(new URL(this.#url).port)): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the CA has no port");
    this.#url = `${this.#scheme}://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** Taints the authority that signs, which is followed by another under the same root. */
  taint(): void {
    this.identity.taintedKeyIds.push(this.identity.intermediate.keyId);
    this.identity.intermediate = makeAuthority("next intermediate", this.#now(), this.identity.root);
    this.sequence++;
  }

  /** Goes over to a new root without the old one in the bundle. */
  replaceRoot(): void {
    this.identity.root = makeAuthority("next root", this.#now(), undefined);
    this.identity.intermediate = makeAuthority("next intermediate", this.#now(), this.identity.root);
    this.sequence++;
  }

  /** Publishes one root more. */
  addRoot(): void {
    this.identity.extraRoots.push(makeAuthority(`root ${this.identity.extraRoots.length + 2}`, this.#now(), undefined));
    this.sequence++;
  }

  /** A token that this CA accepts; `claims` are laid over those of the pod. */
  token(pod: Pod, { lifetime = 3_600, claims = {} }: { lifetime?: number; claims?: object } = {}): string {
    return signToken(this.#payload(pod, lifetime, claims), this.identity.tokenKey.privateKey);
  }

  /** A token with the claims of a real one and a signature of nobody. */
  forge(pod: Pod): string {
    return signToken(this.#payload(pod, 3_600, {}), newKey().privateKey);
  }

  #payload(pod: Pod, lifetime: number, claims: object): object {
    const now = Math.floor(this.#now());
    return {
      iss: "https://issuer.test",
      aud: ["signet-ca"],
      sub: `system:serviceaccount:${pod.namespace}:${pod.serviceAccount}`,
      iat: now,
      nbf: now,
      exp: now + lifetime,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace: pod.namespace,
        serviceaccount: { name: pod.serviceAccount, uid: "sa-uid" },
        pod: { name: pod.podName, uid: pod.podUid },
        node: { name: "node", uid: pod.nodeUid ?? "node-uid" },
      },
      ...claims,
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.startsWith("/v1/trust-bundle?") === true) {
      this.#answerBundle(request, response);
      return;
    }
    if (request.url === "/v1/token-issuers") {
      this.issuerRequests++;
      send(response, { status: 200, document: this.#tokenIssuers() });
      return;
    }
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const nodeToken = request.headers["signet-node-token"];
    const seen = (asked: Asked) => {
      this.requests.push({
        ...{ token: asked.token, csr: asked.csr, ttlSeconds: asked.ttlSeconds },
        nodeToken: typeof nodeToken === "string" ? nodeToken : undefined,
      });
    };
    if (request.url === "/v1/certificates/batch") {
      this.#answerBatch(JSON.parse(body).requests, response, seen);
      return;
    }
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    const asked: Asked = { ...JSON.parse(body), token };
    seen(asked);
    const script = this.#scriptOf(asked);
    if (script === "hang") return;
    const wrong = typeof script === "object" && "wrong" in script ? script.wrong : undefined;
    if (wrong === "not-json") response.writeHead(201).end("<html>");
    else if (wrong === "huge") response.writeHead(201).end("x".repeat(2_000_000));
    else send(response, this.#reply(asked, script));
  }

  #answerBatch(items: readonly Asked[], response: ServerResponse, seen: (asked: Asked) => void): void {
    const { batchScript, script } = this;
    this.batches.push(items.length);
    if (batchScript === "unsupported") {
      send(response, problemOf(404, "not-found"));
      return;
    }
    for (const item of items) seen(item);
    const scripts = items.map((item) => this.#scriptOf(item));
    if (scripts.includes("hang")) return;
    if (typeof batchScript === "object" && items.length > (batchScript.above ?? 0)) {
      const { status, code = "of-the-batch", body: text } = batchScript;
      send(response, { ...problemOf(status, code), text });
      return;
    }
    if (typeof script === "object" && "status" in script) {
      // As the real CA: what fails for all, as a token of the agent's own would, fails the whole.
      send(response, this.#reply({ token: "", csr: "" }, script));
      return;
    }
    const results = items.map((item, at) => {
      const { status, document, retryAfter } = this.#reply(item, scripts[at] ?? "issue");
      if (status === 201) return { status, certificate: document };
      return { status, problem: document, ...(retryAfter !== undefined && { retryAfterSeconds: retryAfter }) };
    });
    send(response, { status: 200, document: { results: spoil(results, batchScript) } });
  }

  #scriptOf({ token }: Asked): Script {
    const account = this.#readToken(token)?.serviceAccount;
    return (account === undefined ? undefined : this.scriptFor(account)) ?? this.script;
  }

  #reply({ token, csr }: Asked, script: Script): Reply {
    if (typeof script === "object" && "status" in script) {
      const { body: text, code = "cannot-sign", retryAfter, status } = script;
      return { ...problemOf(status, code), text, retryAfter };
    }
    const claims = this.#readToken(token);
    if (claims === undefined) return problemOf(401, "token-not-accepted");
    const wrong = typeof script === "object" ? script.wrong : undefined;
    return { status: 201, document: this.#certificate(claims, csr, wrong) };
  }

  #answerBundle(request: IncomingMessage, response: ServerResponse): void {
    this.bundleRequests++;
    const served = request.url?.endsWith(`=${this.#trustDomain}`);
    if (this.bundleDown || !served) {
      send(response, served ? problemOf(503, "cannot-sign") : problemOf(404, "not-found"));
      return;
    }
    const etag = `"${this.sequence}"`;
    response.setHeader("etag", etag);
    if (request.headers["if-none-match"] === etag) {
      this.bundleNotModified++;
      response.writeHead(304).end();
    } else send(response, { status: 200, document: this.#bundle() });
  }

  #bundle() {
    const { taintedKeyIds } = this.identity;
    return {
      ...{ trustDomain: this.#trustDomain, sequence: this.sequence, refreshHintSeconds: 60, roots: this.rootPems },
      ...(taintedKeyIds.length === 0 ? {} : { taintedKeyIds }),
    };
  }

  #tokenIssuers() {
    const key = this.identity.tokenKey.publicKey.export({ format: "jwk" });
    return {
      issuers: [
        {
          ...{ issuer: "https://issuer.test", audiences: ["signet-ca"], algorithms: ["ES256"] },
          ...{ maxTokenLifetimeSeconds: 86_400, trustDomain: this.#trustDomain },
          keys: { keys: [{ ...key, kid: tokenKeyId, alg: "ES256", use: "sig" }] },
        },
      ],
    };
  }

  #readToken(token: string): { namespace: string; serviceAccount: string } | undefined {
    const [header, payload, signature] = token.split(".");
    const bytes = fromBase64Url(payload ?? "");
    const given = fromBase64Url(signature ?? "");
    if (bytes === undefined || given === undefined) return undefined;
    const key = { key: this.identity.tokenKey.publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (!verify("sha256", Buffer.from(`${header}.${payload}`), key, given)) return undefined;
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return {
      namespace: claims["kubernetes.io"].namespace,
      serviceAccount: claims["kubernetes.io"].serviceaccount.name,
    };
  }

  #certificate(account: { namespace: string; serviceAccount: string }, csr: string, wrong: string | undefined) {
    const now = Math.floor(this.#now());
    const name = wrong === "id" ? "somebody-else" : account.serviceAccount;
    const spiffeId = `spiffe://${this.#trustDomain}/ns/${account.namespace}/sa/${name}`;
    const publicKey =
      wrong === "key"
        ? newKey().publicKey.export({ type: "spki", format: "der" })
        : publicKeyOf(decodeSinglePem(csr, ["CERTIFICATE REQUEST"]));
    const notBefore = wrong === "future" ? now + 1_000 : now - this.backdateSeconds;
    const life = wrong === "long-lived" ? 91 * 86_400 : this.leafSeconds;
    const notAfter = wrong === "expired" ? now - 1 : now + life;
    const stranger = makeAuthority("intermediate", now, makeAuthority("root", now, undefined));
    const issuer = wrong === "chain" ? stranger : this.identity.intermediate;
    const { der, serial } = signLeaf({ issuer, spiffeId, publicKey, notBefore, notAfter });
    const bundle = this.#bundle();
    return {
      spiffeId,
      certificateChain: [der, issuer.der].map((one) => encodePem("CERTIFICATE", one)),
      trustBundle: {
        ...bundle,
        ...(wrong === "empty-bundle" ? { sequence: 99, roots: [] } : {}),
        ...(wrong === "other-domain" ? { sequence: 99, trustDomain: "elsewhere.test" } : {}),
      },
      serialNumber: serial,
      notBefore: new Date(notBefore * 1_000).toISOString(),
      notAfter: new Date(notAfter * 1_000).toISOString(),
    };
  }
}

/** As Kubernetes signs its own, but for the algorithm, which is the faster one. */
function signToken(payload: object, key: KeyObject): string {
  const part = (value: object) => toBase64Url(encoder.encode(JSON.stringify(value)));
  const signed = `${part({ alg: "ES256", kid: tokenKeyId })}.${part(payload)}`;
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
