import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { listening } from "./listening.ts";
import { makeServerCertificate } from "./server-certificate.ts";

export interface ApiObject {
  metadata: {
    name: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  readonly [key: string]: unknown;
}

interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly body: string;
}

export interface ReviewSpec {
  readonly token: string;
  readonly audiences?: readonly string[];
}

/** What the server does instead of its work: the status and body of an answer, or to hang up. */
export type Trick = { readonly status: number; readonly body: string } | "hang-up" | undefined;

/**
 * A stand-in for a Kubernetes API server: real https, Secrets and ConfigMaps in memory, create-only POST, merge patches
 * with optimistic locking, and RBAC of a kind: objects that nobody may read.
 */
export interface FakeApiServer {
  /** As a pod has it: the two variables. */
  readonly environment: Record<string, string>;
  /** The service account's folder, with `token` and `ca.crt`. */
  readonly folder: string;
  /** Objects by the path that a GET has. */
  readonly objects: Map<string, ApiObject>;
  readonly requests: SeenRequest[];
  /** Tokens that are taken. */
  tokens: string[];
  /** Asked before each request is done. */
  trick: (request: SeenRequest) => Trick | Promise<Trick>;
  issuer: unknown;
  keys: unknown;
  /** The status of a TokenReview with this spec; none is known unless told. */
  review: (spec: ReviewSpec) => unknown;
  stop(): Promise<void>;
}

export async function startFakeApiServer(folder: string): Promise<FakeApiServer> {
  const { certificate, key } = makeServerCertificate(folder, "kubernetes");
  copyFileSync(certificate, join(folder, "ca.crt"));
  writeFileSync(join(folder, "token"), "first-token");

  let version = 0;
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
    void answer(request, response);
  });
  const { port, stop } = await listening(server);
  const fake: FakeApiServer = {
    environment: {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String(port),
    },
    folder,
    objects: new Map(),
    requests: [],
    tokens: ["first-token"],
    trick: () => undefined,
    issuer: "https://kubernetes.default.svc.cluster.local",
    keys: { keys: [] },
    review: () => ({ authenticated: false, user: {}, error: "[invalid bearer token]" }),
    stop,
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen: SeenRequest = {
      method: request.method ?? "",
      path: request.url ?? "",
      token: (request.headers.authorization ?? "").replace(/^Bearer /, ""),
      body: await text(request),
    };
    fake.requests.push(seen);
    const trick = await fake.trick(seen);
    if (trick === "hang-up") {
      request.socket.destroy();
      return;
    }
    const { status, body } = trick ?? serve(seen, request.headers);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  }

  function serve({ method, path, token, body }: SeenRequest, headers: IncomingMessage["headers"]) {
    const { accept = "*/*", "content-type": contentType } = headers;
    const json = (status: number, value: unknown) => ({ status, body: JSON.stringify(value) });
    const fault = (status: number, reason: string) =>
      json(status, { kind: "Status", reason, message: `echo: ${body}` });
    if (!fake.tokens.includes(token)) return fault(401, "Unauthorized");
    if (path === "/.well-known/openid-configuration") return json(200, { issuer: fake.issuer });
    if (path === "/openid/v1/jwks") {
      return /jwk-set\+json|\*\/\*/.test(accept) ? json(200, fake.keys) : fault(406, "NotAcceptable");
    }
    if (method === "GET") {
      if (path.endsWith("-root-key")) return fault(403, "Forbidden");
      const found = fake.objects.get(path);
      return found === undefined ? fault(404, "NotFound") : json(200, found);
    }
    if (method === "POST" && path === "/apis/authentication.k8s.io/v1/tokenreviews") {
      const { spec, ...rest } = JSON.parse(body) as { spec: ReviewSpec };
      return json(201, { ...rest, metadata: { creationTimestamp: null }, spec, status: fake.review(spec) });
    }
    const given = JSON.parse(body) as ApiObject;
    if (method === "POST") {
      const name = `${path}/${given.metadata.name}`;
      if (contentType !== "application/json") return fault(415, "UnsupportedMediaType");
      if (fake.objects.has(name)) return fault(409, "AlreadyExists");
      return json(201, put(name, given));
    }
    const old = fake.objects.get(path);
    if (method !== "PATCH" || contentType !== "application/merge-patch+json") return fault(415, "UnsupportedMediaType");
    if (old === undefined) return fault(404, "NotFound");
    const { resourceVersion } = given.metadata;
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion)
      return fault(409, "Conflict");
    const annotations = { ...old.metadata.annotations, ...given.metadata.annotations };
    const metadata = { ...old.metadata, annotations };
    return json(200, put(path, { ...old, metadata, data: { ...old.data, ...given.data } }));
  }

  function put(path: string, { stringData = {}, ...object }: ApiObject): ApiObject {
    const encoded = Object.entries(stringData).map(([name, value]) => [name, Buffer.from(value).toString("base64")]);
    const stored: ApiObject = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++version) },
      data: { ...object.data, ...Object.fromEntries(encoded) },
    };
    fake.objects.set(path, stored);
    return stored;
  }

  return fake;
}
