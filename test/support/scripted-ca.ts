import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, randomUUID, sign } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { fromBase64Url, toBase64Url, toHex } from "@signet/shared/base64";
import {
  bitString,
  boolean,
  contextTag,
  DerReader,
  explicit,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from "@signet/shared/der";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";

/** How the CA answers the next requests for a certificate. */
export type Script =
  | "issue"
  | "hang"
  | { readonly status: number; readonly code?: string; readonly retryAfter?: number; readonly body?: string }
  | {
      readonly wrong:
        | "key"
        | "id"
        | "chain"
        | "expired"
        | "future"
        | "not-json"
        | "empty-bundle"
        | "other-domain"
        | "huge";
    };

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

export interface ScriptedCaOptions {
  /** Seconds since the epoch. */
  readonly now?: () => number;
  readonly trustDomain?: string;
  readonly leafSeconds?: number;
  /** To come back on the port of one that was stopped. */
  readonly port?: number;
}

const encoder = new TextEncoder();

/**
 * A CA over real HTTP that does as it is told, good or bad. It accepts the tokens that it made itself, so that a forged
 * one is refused as the real CA would refuse it.
 */
export class ScriptedCa {
  script: Script = "issue";
  /** Requests for certificates, oldest first. */
  readonly requests: SeenRequest[] = [];
  bundleRequests = 0;
  bundleNotModified = 0;
  bundleDown = false;
  sequence = 1;
  leafSeconds: number;
  /** Seconds by which leaves are back-dated. */
  readonly backdateSeconds = 60;
  readonly #now: () => number;
  readonly #trustDomain: string;
  readonly #secret = randomBytes(32);
  readonly #root: Authority;
  readonly #intermediate: Authority;
  readonly #extraRoots: Authority[] = [];
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  #url = "";

  private constructor(options: ScriptedCaOptions) {
    this.#now = options.now ?? (() => Date.now() / 1_000);
    this.#trustDomain = options.trustDomain ?? "cluster.local";
    this.leafSeconds = options.leafSeconds ?? 3_600;
    this.#root = makeAuthority("root", this.#now(), undefined);
    this.#intermediate = makeAuthority("intermediate", this.#now(), this.#root);
    this.#server = createServer((request, response) => {
      this.#open.add(response);
      response.once("close", () => this.#open.delete(response));
      void this.#answer(request, response);
    });
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
    return [this.#root, ...this.#extraRoots].map(({ der }) => encodePem("CERTIFICATE", der));
  }

  async listen(port = Number(new URL(this.#url).port)): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the CA has no port");
    this.#url = `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** Publishes one root more. */
  addRoot(): void {
    this.#extraRoots.push(makeAuthority(`root ${this.#extraRoots.length + 2}`, this.#now(), undefined));
    this.sequence++;
  }

  /** A token that this CA accepts; `claims` are laid over those of the pod. */
  token(pod: Pod, { lifetime = 3_600, claims = {} }: { lifetime?: number; claims?: object } = {}): string {
    return signToken(this.#payload(pod, lifetime, claims), this.#secret);
  }

  /** A token with the claims of a real one and a signature of nobody. */
  forge(pod: Pod): string {
    return signToken(this.#payload(pod, 3_600, {}), randomBytes(32));
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
    if (request.url === "/v1/trust-bundle") {
      this.#answerBundle(request, response);
      return;
    }
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const { csr, ttlSeconds } = JSON.parse(body) as { csr: string; ttlSeconds?: number };
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    const nodeToken = request.headers["signet-node-token"];
    this.requests.push({ token, nodeToken: typeof nodeToken === "string" ? nodeToken : undefined, csr, ttlSeconds });
    const { script } = this;
    if (script === "hang") return;
    if (typeof script === "object" && "status" in script) {
      if (script.retryAfter !== undefined) response.setHeader("retry-after", String(script.retryAfter));
      this.#problem(response, script.status, script.code ?? "cannot-sign", script.body);
      return;
    }
    const claims = this.#readToken(token);
    if (claims === undefined) {
      this.#problem(response, 401, "token-not-accepted");
      return;
    }
    const wrong = script === "issue" ? undefined : script.wrong;
    if (wrong === "not-json") response.writeHead(201).end("<html>");
    else if (wrong === "huge") response.writeHead(201).end("x".repeat(2_000_000));
    else sendJson(response, 201, this.#certificate(claims, csr, wrong));
  }

  #answerBundle(request: IncomingMessage, response: ServerResponse): void {
    this.bundleRequests++;
    if (this.bundleDown) {
      this.#problem(response, 503, "cannot-sign");
      return;
    }
    const etag = `"${this.sequence}"`;
    response.setHeader("etag", etag);
    if (request.headers["if-none-match"] === etag) {
      this.bundleNotModified++;
      response.writeHead(304).end();
    } else sendJson(response, 200, this.#bundle());
  }

  #bundle() {
    return { trustDomain: this.#trustDomain, sequence: this.sequence, refreshHintSeconds: 60, roots: this.rootPems };
  }

  #problem(response: ServerResponse, status: number, code: string, body?: string): void {
    const document = { type: `urn:signet:problem:${code}`, title: `title of ${code}`, status, requestId: "request-1" };
    response.writeHead(status, { "content-type": "application/problem+json" }).end(body ?? JSON.stringify(document));
  }

  #readToken(token: string): { namespace: string; serviceAccount: string } | undefined {
    const [header, payload, signature] = token.split(".");
    const expected = createHmac("sha256", this.#secret).update(`${header}.${payload}`).digest("base64url");
    const bytes = fromBase64Url(payload ?? "");
    if (signature !== expected || bytes === undefined) return undefined;
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
    const notAfter = wrong === "expired" ? now - 1 : now + this.leafSeconds;
    const stranger = makeAuthority("intermediate", now, makeAuthority("root", now, undefined));
    const issuer = wrong === "chain" ? stranger : this.#intermediate;
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

interface Authority {
  readonly der: Uint8Array;
  readonly name: Uint8Array;
  readonly key: KeyObject;
}

const commonName = oid("2.5.4.3");
const ecdsaWithSha256 = sequence(oid(Oid.ecdsaWithSha256));
const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const extension = (id: string, critical: boolean, value: Uint8Array) =>
  critical ? sequence(oid(id), boolean(true), octetString(value)) : sequence(oid(id), octetString(value));

function makeAuthority(name: string, now: number, issuer: Authority | undefined): Authority {
  const { privateKey, publicKey } = newKey();
  const subject = sequence(setOf(sequence(commonName, tlv(Tag.utf8String, encoder.encode(name)))));
  const tbs = sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))),
    unsignedInteger(randomBytes(8)),
    ecdsaWithSha256,
    issuer?.name ?? subject,
    sequence(time(Math.floor(now) - 3_600), time(Math.floor(now) + 30 * 86_400)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    explicit(
      3,
      sequence(
        extension(Oid.basicConstraints, true, sequence(boolean(true))),
        extension(Oid.keyUsage, true, namedBits(KeyUsageBit.keyCertSign, KeyUsageBit.cRLSign)),
      ),
    ),
  );
  return { der: signTbs(tbs, issuer?.key ?? privateKey), name: subject, key: privateKey };
}

interface LeafParts {
  readonly issuer: Authority;
  readonly spiffeId: string;
  readonly publicKey: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

function signLeaf({ issuer, spiffeId, publicKey, notBefore, notAfter }: LeafParts) {
  const serial = randomBytes(16);
  serial[0] = 0x7f;
  const tbs = sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))),
    unsignedInteger(serial),
    ecdsaWithSha256,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    sequence(),
    publicKey,
    explicit(
      3,
      sequence(
        extension(Oid.keyUsage, true, namedBits(KeyUsageBit.digitalSignature)),
        extension(Oid.extendedKeyUsage, false, sequence(oid(Oid.serverAuth), oid(Oid.clientAuth))),
        extension(Oid.subjectAltName, true, sequence(tlv(contextTag(6, false), encoder.encode(spiffeId)))),
      ),
    ),
  );
  return { der: signTbs(tbs, issuer.key), serial: toHex(serial) };
}

function signTbs(tbs: Uint8Array, key: KeyObject): Uint8Array {
  return sequence(tbs, ecdsaWithSha256, bitString(sign("sha256", tbs, key)));
}

function publicKeyOf(csr: Uint8Array): Uint8Array {
  const info = new DerReader(csr).enter().enter();
  info.integer();
  info.expect(Tag.sequence);
  return info.expect(Tag.sequence).bytes;
}

function signToken(payload: object, secret: Uint8Array): string {
  const part = (value: object) => toBase64Url(encoder.encode(JSON.stringify(value)));
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(payload)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
