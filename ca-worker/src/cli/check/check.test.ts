import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeApiServer } from "../../../../test/support/api-server.ts";
import { type Listening, startHttp } from "../../../../test/support/listening.ts";
import { freePort } from "../../../../test/support/ports.ts";
import { makeServerCertificate } from "../../../../test/support/server-certificate.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { initAuthority } from "../../authority/make/init.ts";
import { type CheckOptions, check } from "./check.ts";

const day = 86_400;

describe("check-config", () => {
  let folder: WorkFolder;
  let jwks: object;
  let server: Listening;
  let url: string;
  beforeAll(async () => {
    folder = await makeWorkFolder("check");
    ({ jwks } = await TokenIssuer.create());
    await initAuthority(TrustDomain.parse("cluster.local"), at("authority.json"), undefined);
    await write("jwks.json", JSON.stringify(jwks));
    await write("deny.json", '{"podUids": []}');
    await write("token", "a.b.c");
    server = await startHttp((request, response) => {
      response.statusCode = request.url === "/jwks" ? 200 : 500;
      response.end(JSON.stringify(jwks));
    });
    url = server.url;
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });
  const at = (name: string) => join(folder.path, name);
  const write = (name: string, text: string) => writeFile(at(name), text, { mode: 0o600 });

  /** What is found in a configuration, without its place. */
  async function found(changes: object, options: Partial<CheckOptions> = {}) {
    const config = {
      trustDomain: "cluster.local",
      authority: { store: "file:authority.json" },
      issuers: [{ issuer: "https://a", audiences: ["ca"], keys: "file:jwks.json" }],
      ...changes,
    };
    const { findings, exitCode } = await check(
      { text: JSON.stringify(config, null, 2), source: "ca.jsonc", folder: folder.path },
      {
        ...{ platform: "node", online: false, cluster: undefined, production: false, now: Date.now() / 1000, fetch },
        ...options,
      },
    );
    return { exitCode, lines: findings.map(({ level, fault }) => `${level}: ${fault}`) };
  }
  const issuer = (more: object) => ({ issuers: [{ issuer: "https://a", audiences: ["ca"], ...more }] });

  test("finds nothing in one that can be used", async () => {
    const review = { url: "https://10.0.0.1", token: "file:token" };
    const policy = { default: "allow", denyLists: ["file:deny.json"] };
    expect(await found({ policy, ...issuer({ keys: "file:jwks.json", tokenReview: review }) })).toEqual({
      exitCode: 0,
      lines: [],
    });
  });

  test("tells faults of the document and of the platform at once, in the order of the document", async () => {
    const { exitCode, lines } = await found(
      {
        ...{ authority: { store: "file:none.json" } },
        audit: { sinks: [{ type: "queue", binding: "Q" }] },
        ...issuer({ keys: "file:none.json" }),
      },
      { production: true },
    );
    expect(exitCode).toBe(2);
    expect(lines.map((line) => line.split(": ").slice(0, 2).join(": "))).toEqual([
      "error: authority.store",
      "error: issuers.0.keys",
      "error: audit.sinks.0.binding",
    ]);
  });

  test("tells what is no configuration in the order of the document, too", async () => {
    const { exitCode, lines } = await found({
      ...{ trustDomain: "A" },
      ...issuer({ keys: "file:jwks.json", trustDomain: "b" }),
      ...{ isuers: [], leaf: { keys: [] } },
    });
    expect(exitCode).toBe(2);
    expect(lines.map((line) => line.split(": ")[1])).toEqual([
      "trustDomain",
      "issuers.0.trustDomain",
      "isuers",
      "leaf.keys",
    ]);
  });

  test.each<{ rule: string; name: string; text: string | undefined; changes: object; line: RegExp }>([
    {
      rule: "an authority that is missing in production",
      name: "b1",
      text: undefined,
      changes: { authority: { store: "file:b1" } },
      line: /^error: authority\.store: .*ENOENT/,
    },
    {
      rule: "an authority that is none",
      name: "b2",
      text: "{}",
      changes: { authority: { store: "file:b2" } },
      line: /^error: authority\.store: .*version/s,
    },
    {
      rule: "a variable that is not set",
      name: "b3",
      text: undefined,
      changes: { authority: { store: "env:SIGNET_NOT_SET" } },
      line: /^error: authority\.store: .*SIGNET_NOT_SET is not set/,
    },
    {
      rule: "keys that are missing",
      name: "b4",
      text: undefined,
      changes: issuer({ keys: "file:b4" }),
      line: /^error: issuers\.0\.keys: .*ENOENT/,
    },
    {
      rule: "keys that are none",
      name: "b5",
      text: '{"keys": [{"kty": "oct", "k": "AQ"}]}',
      changes: issuer({ keys: "file:b5" }),
      line: /^error: issuers\.0\.keys: .*private or symmetric/,
    },
    {
      rule: "a deny list that is none",
      name: "b6",
      text: '{"pods": []}',
      changes: { policy: { default: "allow", denyLists: ["file:b6"] } },
      line: /^error: policy\.denyLists\.0: .*pods/,
    },
    {
      rule: "a reviewer's token that is empty",
      name: "b7",
      text: "\n",
      changes: issuer({ keys: "file:jwks.json", tokenReview: { url: "https://10.0.0.1", token: "file:b7" } }),
      line: /^error: issuers\.0\.tokenReview\.token: it is empty/,
    },
    {
      rule: "an API server's certificate that is none",
      name: "b8",
      text: "x",
      changes: issuer({
        keys: "file:jwks.json",
        tokenReview: { url: "https://10.0.0.1", token: "file:token", caCertificate: "file:b8" },
      }),
      line: /^error: issuers\.0\.tokenReview\.caCertificate: not PEM/,
    },
  ])("looks at what is named: $rule", async ({ name, text, changes, line }) => {
    if (text !== undefined) await write(name, text);
    const { exitCode, lines } = await found(changes, { production: true });
    expect({ exitCode, lines }).toEqual({ exitCode: 69, lines: [expect.stringMatching(line)] });
  });

  test.each([
    { rule: "ended", days: 4_000, level: "error", says: /ended on/, exitCode: 69 },
    { rule: "ends soon", days: 350, level: "warning", says: /ends on/, exitCode: 0 },
  ])("tells of an authority whose chain $rule", async ({ days, level, says, exitCode }) => {
    const result = await found({}, { now: Date.now() / 1000 + days * day });
    expect(result).toEqual({ exitCode, lines: [expect.stringMatching(says)] });
    expect(result.lines[0]).toMatch(new RegExp(`^${level}: authority.store`));
  });

  test("tells of an authority that others can read, and never what is in it", async () => {
    await chmod(at("authority.json"), 0o644);
    const { exitCode, lines } = await found({});
    await chmod(at("authority.json"), 0o600);
    expect(exitCode).toBe(0);
    expect(lines).toEqual([expect.stringMatching(/mode 0644.*chmod 600/)]);
    await write("other.json", (await readFile(at("authority.json"), "utf8")).replace(/"pkcs8":\s*"./, '"pkcs8": "$'));
    const broken = await found({ authority: { store: "file:other.json" } });
    expect(broken.exitCode).toBe(69);
    expect(JSON.stringify(broken.lines)).not.toMatch(/MI[GIH]/);
  });

  test("says that serve will make a development authority, outside of production", async () => {
    expect(await found({ authority: { store: "file:new/authority.json" } })).toEqual({
      exitCode: 0,
      lines: [expect.stringMatching(/^warning: authority\.store: .*serve makes a development authority/)],
    });
  });

  test("in a pod asks the API server, for the Secret and for the cluster's own issuer", async () => {
    const api = await startFakeApiServer(folder.path);
    api.keys = jwks;
    const cluster = { environment: api.environment, folder: folder.path, patienceSeconds: 0 };
    const inPod = { authority: { store: "kubernetes:a/b" }, issuers: [{ issuer: "in-cluster", audiences: ["ca"] }] };
    try {
      expect((await found(inPod, { cluster })).lines).toEqual([
        expect.stringMatching(/^warning: authority\.store: .*no such Secret yet/),
      ]);
      api.trick = () => ({ status: 403, body: "{}" });
      expect((await found(inPod, { cluster })).lines).toEqual([
        expect.stringMatching(/^error: authority\.store: .*get secrets "b"/),
        expect.stringMatching(/^error: issuers\.0\.issuer: /),
      ]);
    } finally {
      await api.stop();
    }
  });

  test("looks at the pair that serve is to be given", async () => {
    const tls = makeServerCertificate(folder.path, "tls");
    const warned = { exitCode: 0, lines: [expect.stringMatching(/^warning: --tls-cert: .*tls\.pem ends at /)] };
    expect(await found({}, { tls })).toEqual(warned);
    expect(await found({}, { tls, now: Date.now() / 1000 + 3 * day })).toEqual({
      ...{ exitCode: 69, lines: [expect.stringMatching(/^error: --tls-cert: .*ended at /)] },
    });
    const other = { ...tls, key: makeServerCertificate(folder.path, "other").key };
    expect(await found({}, { tls: other })).toEqual({
      ...{
        exitCode: 69,
        lines: [expect.stringMatching(/^error: --tls-key: .*is not the key of the first certificate/)],
      },
    });
  });

  test("warns where tokens alone suffice", async () => {
    expect((await found({ nodeBinding: "off" })).lines).toEqual([expect.stringMatching(/^warning: nodeBinding: /)]);
    expect((await found(issuer({ keys: "file:jwks.json", nodeBinding: "off" }))).lines).toEqual([
      expect.stringMatching(/^warning: issuers\.0\.nodeBinding: /),
    ]);
  });

  test("asks over the network when it is told to, and takes silence for a warning", async () => {
    const denyLists = [`${url}/deny`];
    const asked = { ...issuer({ keys: `${url}/jwks` }), policy: { default: "allow", denyLists } };
    const offline = await found(asked);
    expect(offline).toEqual({ exitCode: 0, lines: Array(2).fill(expect.stringMatching(/^note: .*--online/)) });
    expect(await found(asked, { online: true })).toEqual({
      exitCode: 0,
      lines: [expect.stringMatching(/^warning: policy\.denyLists\.0: .*answers 500/)],
    });
    const gone = await found(issuer({ keys: `http://127.0.0.1:${await freePort()}/jwks` }), { online: true });
    expect(gone.lines).toEqual([expect.stringMatching(/^warning: issuers\.0\.keys: .*\(ECONNREFUSED\)$/)]);
  });

  test.each([
    { platform: "workers", store: "env:A", keys: "inline", lines: [/^note: authority\.store: .*Worker/] },
    { platform: "workers", store: "kv:NAMESPACE/authority", keys: "inline", lines: [/^note: authority\.store: /] },
    {
      platform: "workers",
      store: "file:authority.json",
      keys: "file:jwks.json",
      lines: [/^error: authority\.store: /, /^error: issuers\.0\.keys: .*no files/],
    },
    { platform: "lambda", store: "file:authority.json", keys: "file:jwks.json", lines: [] },
    {
      platform: "lambda",
      store: "aws-secretsmanager:signet",
      keys: "inline",
      lines: [/^note: authority\.store: .*--online/],
    },
    { platform: "lambda", store: "kv:A/b", keys: "inline", lines: [/^error: authority\.store: /] },
    { platform: "node", store: "kv:A/b", keys: "inline", lines: [/^error: authority\.store: /] },
    { platform: "node", store: "kubernetes:a/b", keys: "inline", lines: [/^note: authority\.store: .*in a pod/] },
  ] as const)("knows what $platform can do with $store", async ({ platform, store, keys, lines }) => {
    const result = await found(
      { authority: { store }, ...issuer({ keys: keys === "inline" ? jwks : keys }) },
      { platform },
    );
    expect(result.lines).toEqual(lines.map((line) => expect.stringMatching(line)));
  });

  test.each(["workers", "lambda"] as const)("knows that %s is in no cluster", async (platform) => {
    const { lines } = await found(
      { issuers: [{ issuer: "in-cluster", audiences: ["ca"] }], authority: { store: "env:A" } },
      { platform },
    );
    expect(lines).toContainEqual(expect.stringMatching(/^error: issuers\.0\.issuer: .*in a pod only/));
  });
});
