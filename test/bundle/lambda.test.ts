import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { caConfig } from "../support/ca-config.ts";
import { runToEnd } from "../support/processes.ts";
import { pypiProgram } from "../support/pypi-program.ts";
import { lambdaBundle, repoRoot } from "../support/repo.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { packageLambda } from "../tools/lambda-package.ts";

// A cold start reads and compiles all of it.
const maxGzipBytes = 120 * 1024;
const template = join(repoRoot, "infra/aws/template.yaml");

// Begun at once, since it takes seconds, and installing the linter may take longer than a test.
let linted: Promise<[PromiseSettledResult<unknown>]>;
beforeAll(() => {
  linted = Promise.allSettled([
    pypiProgram("cfn-lint").then(({ command, args }) => runToEnd(command, [...args, "--template", template])),
  ]);
});

describe("the Lambda function as it is built", () => {
  test("is one file and small", () => {
    expect(readdirSync(dirname(lambdaBundle))).toEqual(["index.mjs"]);
    const size = gzipSync(readFileSync(lambdaBundle)).length;
    console.log(`Lambda bundle: ${(size / 1024).toFixed(1)} KiB gzip`);
    expect(size).toBeLessThanOrEqual(maxGzipBytes);
  });

  test("holds what was meant for it and nothing else", () => {
    const sbom = JSON.parse(readFileSync(join(repoRoot, "ca-worker/dist/signet-ca-lambda.cdx.json"), "utf8"));
    expect(sbom.components.map(({ name }: { name: string }) => name)).toEqual([
      "@valibot/to-json-schema",
      "aws4fetch",
      "hono",
      "jose",
      "jsonc-parser",
      "valibot",
    ]);
  });

  test("needs nothing beside Node", () => {
    const bundle = readFileSync(lambdaBundle, "utf8");
    const asked = [...bundle.matchAll(/(?:require\(|\bfrom|\bimport\()\s*["`]([^"`]+)["`]/g)].map(
      ([, name = ""]) => name,
    );
    expect(asked).toContain("node:crypto");
    expect(asked.filter((name) => !builtinModules.includes(name.replace(/^node:/, "")))).toEqual([]);
  });
});

describe("the deployment package", () => {
  let folder: WorkFolder;
  let issuer: TokenIssuer;
  beforeAll(async () => {
    [folder, issuer] = await Promise.all([makeWorkFolder("package"), TokenIssuer.create()]);
    mkdirSync(join(folder.path, "keys"));
    await issuer.writeJwks(join(folder.path, "keys/jwks.json"));
  });
  afterAll(() => folder.remove());
  const pack = (more: Partial<Parameters<typeof caConfig>[0]>, name = "ca.json") => {
    const file = join(folder.path, name);
    const config = caConfig({ keys: issuer.jwks, store: "aws-secretsmanager:signet/authority", ...more });
    writeFileSync(file, `// ours\n${JSON.stringify(config)}`);
    return packageLambda(file, join(folder.path, "out"));
  };

  test("has the function, its configuration, and what that names; nothing that was there before", () => {
    mkdirSync(join(folder.path, "out"), { recursive: true });
    writeFileSync(join(folder.path, "out/old.json"), "{}");
    expect(pack({ keys: "file:keys/jwks.json" })).toEqual(["index.mjs", "ca.jsonc", "keys/jwks.json"]);
    const made = readdirSync(join(folder.path, "out"), { recursive: true }).sort();
    expect(made).toEqual(["ca.jsonc", "index.mjs", "keys", "keys/jwks.json"]);
    expect(readFileSync(join(folder.path, "out/ca.jsonc"), "utf8")).toMatch(/^\/\/ ours/);
  });

  test.each([
    { what: "a configuration with faults", more: { leafTtl: "1x" }, says: "leaf.defaultTtl" },
    { what: "what Lambda has not", more: { store: "kubernetes:a/b" }, says: "authority.store" },
    { what: "a file that is not there", more: { keys: "file:none.json" }, says: "issuers.0.keys" },
    { what: "a file from elsewhere", more: { keys: "file:keys/../../../etc/hostname" }, says: "issuers.0.keys" },
  ])("is not made of $what", ({ more, says }) => {
    expect(() => pack(more)).toThrow(says);
  });

  test("takes no key of the CA, nor a file from outside of the configuration's folder", async () => {
    const { makeAuthorityText } = await import("../support/ca-in-process.ts");
    writeFileSync(join(folder.path, "a.json"), await makeAuthorityText("cluster.local"), { mode: 0o600 });
    expect(() => pack({ store: "file:a.json" })).toThrow("name a secret");
    mkdirSync(join(folder.path, "inner"), { recursive: true });
    expect(() => pack({ keys: "file:../keys/jwks.json" }, "inner/ca.json")).toThrow("own folder");
  });
});

describe("the SAM template", () => {
  test("passes cfn-lint", async () => {
    const [outcome] = await linted;
    expect(outcome).toMatchObject({ status: "fulfilled" });
  }, 120_000);

  test("runs the bundle as it is, on the Node that it is made for and longer than a request may take", () => {
    const { Function: fn } = resources();
    expect(fn).toMatchObject({ Handler: "index.handler", Runtime: `nodejs${process.versions.node.split(".")[0]}.x` });
    expect(fn.Timeout).toBeGreaterThan(20);
    expect(fn.Timeout).toBeLessThan(29);
  });

  test("lets the function do nothing to anything that it does not name", () => {
    const statements = (resources().Role.Policies as { PolicyDocument: { Statement: unknown[] } }[])
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
      // Under a condition: its name, the statement, and nothing.
      .map((statement) => (Array.isArray(statement) ? statement[1] : statement));
    const actions = statements.flatMap(({ Action }: { Action: string | string[] }) => Action).sort();
    expect([...new Set(actions)]).toEqual([
      "kms:Decrypt",
      "logs:CreateLogStream",
      "logs:PutLogEvents",
      "secretsmanager:GetSecretValue",
    ]);
    expect(JSON.stringify(statements.map(({ Resource }) => Resource))).not.toContain("*");
    expect(resources().Role).not.toHaveProperty("ManagedPolicyArns");
  });
});

/** Properties of the template's resources; what a tag such as `!Ref` holds stands in its place. */
// biome-ignore lint/suspicious/noExplicitAny: as free as templates are
function resources(): Record<string, any> {
  const tags = ["Ref", "GetAtt", "Sub", "If", "Equals", "Not", "Join"];
  const customTags = tags.flatMap((name) => [
    { tag: `!${name}`, resolve: (text: string) => text },
    // biome-ignore lint/suspicious/noExplicitAny: of the library
    { tag: `!${name}`, collection: "seq" as const, resolve: (seq: any) => seq },
  ]);
  const { Resources } = parse(readFileSync(template, "utf8"), { customTags, logLevel: "error" });
  return Object.fromEntries(
    Object.entries(Resources as Record<string, { Properties: unknown }>).map(([name, { Properties }]) => [
      name,
      Properties,
    ]),
  );
}
