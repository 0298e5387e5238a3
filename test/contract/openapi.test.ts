import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { type DocumentOptions, openApiDocument } from "@signet/ca/openapi/document";
import { example } from "@signet/ca/openapi/examples";
import type { Content, Document, MediaType, Operation } from "@signet/ca/openapi/types";
import { readCsr } from "@signet/ca/request/csr";
import { commonHeaders } from "@signet/ca/respond/headers";
import { problemKinds } from "@signet/ca/respond/problem";
import { problemContentType, problemTypePrefix } from "@signet/shared/ca-api";
import { parseCertificate, readSvid } from "@signet/shared/certificate";
import { caErrorCodes } from "@signet/shared/errors";
import { decodeSinglePem } from "@signet/shared/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { caConfig } from "../support/ca-config.ts";
import { startCaInProcess } from "../support/ca-in-process.ts";
import { type Answered, type Asked, OpenApiCheck } from "../support/openapi-check.ts";
import { makeExamples } from "../support/openapi-examples.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { type Bench, platforms, startBench } from "./platforms.ts";

const document = openApiDocument({ nodeBinding: "on" });
const operations = (of: Document) =>
  Object.entries(of.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as Operation })),
  );

describe.each(platforms)("the OpenAPI document on %s", (platform) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench(platform);
  });
  afterAll(() => bench?.stop());

  test("is the one that the suite holds every answer against, and is sent once", async () => {
    const response = await bench.fetch("/openapi.json");
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)));
    const etag = response.headers.get("etag") ?? "";
    const again = await bench.fetch("/openapi.json", { headers: { "if-none-match": etag } });
    expect({ status: again.status, body: await again.text() }).toEqual({ status: 304, body: "" });
  });
});

describe("the OpenAPI document", () => {
  test.each(["on", "off", "by issuer"] as const)(
    "passes Redocly's strict rules with node binding %s",
    async (nodeBinding) => {
      const config = await createConfig({
        extends: ["recommended-strict"],
        // What takes no parameter cannot be asked for wrongly.
        rules: { "operation-4xx-response": "off" },
      });
      const lint = async (of: unknown) => {
        const problems = await lintFromString({ source: JSON.stringify(of), config });
        return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`);
      };
      expect(await lint(openApiDocument({ nodeBinding }))).toEqual([]);
      // The linter does look.
      const { securitySchemes: _, ...components } = document.components;
      expect(await lint({ ...document, components })).toContainEqual(expect.stringContaining("security-defined"));
    },
  );

  test("has the routes of the app, no more and no less", async () => {
    const { routes } = await startCaInProcess(caConfig({ keys: (await TokenIssuer.create()).jwks }));
    const real = routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`);
    const documented = operations(document).map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(documented.sort()).toEqual([...new Set(real)].sort());
  });

  test("has every error code that a route can give, under its status", () => {
    const said = new Map<string, Set<string>>();
    for (const { operation } of operations(document)) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const schema = content?.[problemContentType]?.schema.allOf as readonly {
          properties?: { type?: { enum: string[] } };
        }[];
        for (const type of schema?.[1]?.properties?.type?.enum ?? []) {
          said.set(type, (said.get(type) ?? new Set()).add(status));
        }
      }
    }
    // A wrong method is told of at every path.
    const wanted = caErrorCodes.filter((code) => code !== "method-not-allowed");
    expect(Object.fromEntries([...said].map(([type, statuses]) => [type, [...statuses]]))).toEqual(
      Object.fromEntries(wanted.map((code) => [`${problemTypePrefix}${code}`, [`${problemKinds[code].status}`]])),
    );
  });

  test.each<[DocumentOptions["nodeBinding"], object[], object[]]>([
    ["on", [{ workloadToken: [], agentToken: [] }], [{ agentToken: [] }]],
    ["off", [{ workloadToken: [] }], [{}]],
    ["by issuer", [{ workloadToken: [], agentToken: [] }, { workloadToken: [] }], [{ agentToken: [] }, {}]],
  ])("with node binding %s asks for the tokens that are needed", (nodeBinding, single, batch) => {
    const { paths } = openApiDocument({ nodeBinding });
    expect(paths["/v1/certificates"]?.post?.security).toEqual(single);
    expect(paths["/v1/certificates/batch"]?.post?.security).toEqual(batch);
  });

  test("has the version of the package", () => {
    const text = readFileSync(new URL("../../ca-worker/package.json", import.meta.url), "utf8");
    expect(document.info.version).toBe((JSON.parse(text) as { version: string }).version);
  });
});

describe("the examples of the document", () => {
  test("are there for every body, and valid by their schemas", () => {
    const check = new OpenApiCheck(document);
    const all = operations(document).flatMap(({ path, method, operation }) => {
      const at = `#/paths/${path.replaceAll("/", "~1")}/${method}`;
      const of = (content: Content | undefined, where: string) =>
        Object.entries(content ?? {}).map(([type, media]) => ({
          media,
          at: `${at}/${where}/content/${type.replaceAll("/", "~1")}`,
        }));
      return [
        ...of(operation.requestBody?.content, "requestBody"),
        ...Object.entries(operation.responses).flatMap(([status, { content }]) => of(content, `responses/${status}`)),
      ];
    });
    // The document is no example of itself.
    const without = all.filter(({ media }) => media.example === undefined).map(({ at }) => at);
    expect(without).toEqual(["#/paths/~1openapi.json/get/responses/200/content/application~1json"]);
    const faults = (media: MediaType, at: string) => check.schemaFaults(`${at}/schema`, media.example);
    for (const { media, at } of all) {
      if (media.example !== undefined) expect(faults(media, at), at).toEqual([]);
    }
  });

  test("are what a CA answers: made anew, they are the same but for keys, times and numbers by chance", async () => {
    expect(outline(example), "make them anew: npm run examples").toEqual(outline(await makeExamples()));
  });

  test("are real: the CSR proves its key, the chain leads to the root", async () => {
    const { publicKey, uris } = await readCsr(example.certificateRequest.csr, ["p256"], nodeCrypto);
    const [leaf, issuing] = example.certificate.certificateChain.map((pem) => new X509Certificate(pem));
    const [root] = example.trustBundle.roots.map((pem) => new X509Certificate(pem));
    expect(issuing !== undefined && leaf?.verify(issuing.publicKey)).toBe(true);
    expect(root !== undefined && issuing?.verify(root.publicKey)).toBe(true);
    const parsed = parseCertificate(decodeSinglePem(example.certificate.certificateChain[0] ?? "", ["CERTIFICATE"]));
    expect(uris).toEqual([readSvid(parsed).toString()]);
    expect(Buffer.from(parsed.publicKey)).toEqual(Buffer.from(publicKey.spki));
  });
});

describe("the check of answers against the document", () => {
  const asked: Asked = { method: "GET", path: "/v1/trust-bundle", headers: new Headers(), body: undefined };
  let answered: Answered;
  beforeAll(async () => {
    const ca = await startCaInProcess(caConfig({ keys: (await TokenIssuer.create()).jwks }));
    const response = await ca.fetch(asked.path);
    answered = { status: response.status, headers: response.headers, body: await response.text() };
  });
  const withHeader = (name: string, value: string | undefined): Answered => {
    const headers = new Headers(answered.headers);
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
    return { ...answered, headers };
  };
  const withBody = (more: object): Answered => ({
    ...answered,
    body: JSON.stringify({ ...JSON.parse(answered.body), ...more }),
  });
  const post: Asked = {
    method: "POST",
    path: "/v1/certificates",
    headers: new Headers({ "content-type": "application/json", authorization: "Bearer x", "signet-node-token": "x" }),
    body: JSON.stringify(example.certificateRequest),
  };
  const issued = (): Answered => ({
    status: 201,
    headers: new Headers({ ...commonHeaders("x"), "content-type": "application/json" }),
    body: JSON.stringify(example.certificate),
  });
  const problem = (code: string, status: number): Answered => ({
    status,
    headers: new Headers({ ...commonHeaders("x"), "content-type": problemContentType }),
    body: JSON.stringify({ type: `${problemTypePrefix}${code}`, title: "x", status }),
  });

  test("finds nothing where all is right", () => {
    const check = new OpenApiCheck(document);
    expect(check.faults(asked, answered)).toEqual([]);
    expect(check.faults(post, issued())).toEqual([]);
    expect(check.faults(post, problem("malformed-csr", 400))).toEqual([]);
    expect(check.faults({ ...asked, path: "/nothing" }, problem("not-found", 404))).toEqual([]);
  });

  test.each<[string, Asked, () => Answered, RegExp]>([
    ["a status", asked, () => ({ ...answered, status: 202 }), /status 202 is not in the document/],
    ["a member", asked, () => withBody({ secret: 1 }), /additional properties.*secret/],
    ["a missing member", asked, () => withBody({ roots: undefined }), /required property 'roots'/],
    ["another type", asked, () => withBody({ sequence: "1" }), /sequence must be integer/],
    ["a header", asked, () => withHeader("x-more", "1"), /header x-more is not in the document/],
    ["a missing header", asked, () => withHeader("etag", undefined), /header etag is missing/],
    [
      "a header of another form",
      asked,
      () => withHeader("cache-control", "private"),
      /header cache-control: .*pattern/,
    ],
    ["a content type", asked, () => withHeader("content-type", "text/html"), /content type text\/html/],
    ["an error code", post, () => problem("not-found", 400), /type must be equal to one of/],
    ["an error without its header", post, () => problem("rate-limited", 429), /header retry-after is missing/],
    ["a route", { ...asked, path: "/v1/more" }, () => answered, /status 200 where 404 is right/],
    ["a method", { ...asked, method: "DELETE" }, () => answered, /status 200 where 405 is right/],
    ["a body with HEAD", { ...asked, method: "HEAD" }, () => answered, /HEAD has a body/],
    [
      "a request with a member more that was done",
      { ...post, body: '{"csr":"x","more":1}' },
      issued,
      /the request: .*more/,
    ],
    [
      "a request without tokens that was done",
      { ...post, headers: new Headers({ "content-type": "application/json" }) },
      issued,
      /security/,
    ],
    [
      "a request of another content type that was done",
      { ...post, headers: new Headers([...post.headers, ["content-type", "text/plain"]]) },
      issued,
      /the request|text/,
    ],
  ])("finds %s that is not in the document", (_, request, answer, fault) => {
    expect(new OpenApiCheck(document).faults(request, answer()).join("\n")).toMatch(fault);
  });

  test("finds a schema that lies", () => {
    const lying = JSON.parse(JSON.stringify(document));
    lying.components.schemas.TrustBundle.properties.sequence.type = "string";
    expect(new OpenApiCheck(lying).faults(asked, answered).join()).toMatch(/sequence must be string/);
    delete lying.paths["/v1/trust-bundle"];
    expect(new OpenApiCheck(lying).faults(asked, answered)).toEqual(["status 200 where 404 is right"]);
  });
});

/** A value with all in it that another run would make otherwise left out. */
function outline(value: unknown, name = ""): unknown {
  if (Array.isArray(value)) return value.map((part) => outline(part, name));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, outline(part, key)]));
  }
  const drawn = [
    "csr",
    "token",
    "certificateChain",
    "roots",
    "serialNumber",
    "notBefore",
    "notAfter",
    "requestId",
    "x",
    "y",
    "x5c",
    "kid",
    "n",
    "authority",
  ];
  return drawn.includes(name) ? typeof value : value;
}
