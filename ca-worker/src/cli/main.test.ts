import { spawn } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TokenIssuer } from "../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../test/support/work-folder.ts";
import { parseAuthorityDocument } from "../authority/document.ts";

const program = fileURLToPath(new URL("main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `signet-ca` to its end; `onLine` is told when standard output holds a whole line. */
function signetCa(
  args: readonly string[],
  { env = {}, onLine }: { env?: NodeJS.ProcessEnv; onLine?: (line: string, stop: () => void) => void } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // Compiled once for all of these processes: most of what each takes is the start.
      env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(folder.path, "compiled"), ...env },
    });
    let [stdout, stderr] = ["", ""];
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (stdout.endsWith("\n")) onLine?.(stdout.trim(), () => child.kill("SIGTERM"));
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

let folder: WorkFolder;

describe.concurrent("signet-ca", () => {
  let keys: unknown;
  beforeAll(async () => {
    folder = await makeWorkFolder("cli");
    keys = (await TokenIssuer.create()).jwks;
  });
  afterAll(() => folder.remove());

  /** Writes a configuration of its own for a test. */
  async function configFile(name: string, store = `file:${name}-authority.json`, more: object = {}): Promise<string> {
    const issuers = [{ issuer: "https://issuer", audiences: ["signet-ca"], keys }];
    const path = join(folder.path, `${name}.json`);
    await writeFile(path, JSON.stringify({ trustDomain: "cluster.local", authority: { store }, issuers, ...more }));
    return path;
  }

  test.each([
    { rule: "no command", args: [], code: 2 },
    { rule: "--help", args: ["--help"], code: 0 },
    { rule: "an unknown command", args: ["sreve"], code: 2 },
    { rule: "an unknown step", args: ["authority", "activat"], code: 2 },
    { rule: "an unknown flag", args: ["serve", "--confg", "x"], code: 2, named: "--confg" },
    { rule: "an unknown flag of a step", args: ["authority", "status", "--all"], code: 2, named: "--all" },
    { rule: "an argument too many", args: ["serve", "ca.json"], code: 2 },
    { rule: "no configuration", args: ["serve"], code: 2, named: "--config" },
    { rule: "no configuration to check", args: ["check-config"], code: 2, named: "--config" },
    { rule: "an unknown platform", args: ["check-config", "--platform", "k8s"], code: 2, named: "workers" },
    { rule: "nothing to inspect", args: ["inspect"], code: 2, named: "file|url" },
    { rule: "a file to inspect that is missing", args: ["inspect", "/none.pem"], code: 69, named: "/none.pem" },
    { rule: "a drain that is none", args: ["serve", "--drain", "soon"], code: 2, named: "--drain" },
    { rule: "no connections", args: ["serve", "--max-connections", "0"], code: 2, named: "--max-connections" },
    { rule: "an address for metrics without a port", args: ["serve", "--admin", "9443"], code: 2, named: "--admin" },
    {
      rule: "a configuration that is missing",
      args: ["serve", "--config", "/none.json"],
      code: 2,
      named: "/none.json",
    },
    { rule: "an address without a port", args: ["serve", "--listen", "127.0.0.1"], code: 2, named: "--listen" },
    { rule: "plain http on every address", args: ["serve", "--listen", "0.0.0.0:0"], code: 2, named: "--tls-cert" },
    {
      rule: "plain http on every address, even where roots are published",
      args: ["serve", "--listen", "0.0.0.0:0", "--publish-roots", "a/b"],
      code: 2,
      named: "--tls-names",
    },
    {
      rule: "a certificate of its own and one in a file",
      args: ["serve", "--tls-names", "a.b", "--tls-cert", "x", "--tls-key", "y"],
      code: 2,
      named: "--tls-names",
    },
    { rule: "an address for a name", args: ["serve", "--tls-names", "10.0.0.1"], code: 2, named: "10.0.0.1" },
    {
      rule: "a ConfigMap without its namespace",
      args: ["serve", "--publish-roots", "roots"],
      code: 2,
      named: "--publish-roots",
    },
    { rule: "a certificate without its key", args: ["serve", "--tls-cert", "x"], code: 2, named: "--tls-key" },
  ])("$rule ends with $code", async ({ args, code, named = "" }) => {
    const ended = await signetCa(args);
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code, stderr: expect.stringContaining(named) });
    // What is asked for goes to standard output, what is wrong to standard error.
    expect(ended.stdout === "").toBe(code !== 0);
    expect(ended.stderr).not.toContain("    at ");
  });

  test.each(["serve", "check-config"])(
    "%s: a wrong configuration ends with 2 and names every key and its place",
    async (command) => {
      const config = join(folder.path, `wrong-${command}.jsonc`);
      await writeFile(
        config,
        '{\n  "trustDomain": "cluster.local",\n  "authority": { "store": "s3:x" }, // no\n  "leafs": 1\n}\n',
      );
      const { code, stdout, stderr } = await signetCa([command, "--config", config]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain(`${config}:3:18: error: authority.store: must be`);
      expect(stderr).toContain(`${config}:4:3: error: leafs: unknown key`);
      expect(stderr).toContain(`${config}:1:1: error: issuers: missing`);
    },
  );

  test("check-config ends with 0 for what can be used, and with 69 where something that it names cannot", async () => {
    const good = await signetCa(["check-config", "--config", await configFile("check-good")]);
    expect(good).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("can be used on node") });
    const named = { policy: { default: "allow", denyLists: ["file:none.json"] } };
    const config = await configFile("check-bad", "file:a.json", named);
    const { code, stdout } = await signetCa(["check-config", "--config", config, "--json"]);
    expect(code).toBe(69);
    const { ok, findings } = JSON.parse(stdout);
    expect({ ok, findings }).toMatchObject({
      ok: false,
      findings: [{ level: "warning" }, { level: "error", line: 1 }],
    });
  });

  test("inspect ends with 0 for what breaks no rule, and with 65 for a private key, of which it shows nothing", async () => {
    const config = await configFile("inspect");
    await signetCa(["authority", "init", "--config", config]);
    const document = parseAuthorityDocument(await readFile(join(folder.path, "inspect-authority.json"), "utf8"));
    const chain = join(folder.path, "inspect-chain.pem");
    await writeFile(chain, document.authorities[0]?.chain.join("") ?? "");
    const good = await signetCa(["inspect", chain]);
    expect(good).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("spiffe://cluster.local") });
    const rootKey = join(folder.path, "inspect-authority.root-key.pem");
    const { code, stdout, stderr } = await signetCa(["inspect", rootKey]);
    expect({ code, stdout }).toEqual({ code: 65, stdout: "" });
    expect(stderr).toContain("openssl pkey");
    expect(stderr).not.toContain((await readFile(rootKey, "utf8")).split("\n")[1]);
  });

  test.each([
    { rule: "a Secret as the store", store: "kubernetes:a/b", args: ["serve"], named: "authority.store" },
    { rule: "a Secret to be made", store: "kubernetes:a/b", args: ["authority", "init"], named: "authority.store" },
    { rule: "a Secret to be shown", store: "kubernetes:a/b", args: ["authority", "status"], named: "authority.store" },
    { rule: "roots to be published", args: ["serve", "--publish-roots", "a/b"], named: "--publish-roots" },
    {
      rule: "the cluster's issuer",
      args: ["serve"],
      more: { issuers: [{ issuer: "in-cluster", audiences: ["signet-ca"] }] },
      named: "issuers.0.issuer",
    },
  ])("$rule outside of a pod ends with 2 and says so", async ({ rule, store, args, more, named }) => {
    const config = await configFile(rule.replaceAll(/\W/g, "-"), store, more);
    const { code, stderr } = await signetCa([...args, "--config", config]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("works in a pod only") });
    expect(stderr).toContain(named);
  });

  test("a certificate of its own needs an authority: without an active one it ends with 69", async () => {
    const config = await configFile("no-active");
    await writeFile(join(folder.path, "no-active-authority.json"), '{"version":1,"sequence":1,"authorities":[]}');
    const args = ["serve", "--config", config, "--listen", "127.0.0.1:0", "--tls-names", "localhost"];
    const { code, stderr } = await signetCa(args);
    expect(code).toBe(69);
    expect(stderr).toContain("--tls-names: no certificate can be made for this server: no authority is active");
  });

  test("init writes the authority and its root key, once; status lists it", async () => {
    const config = await configFile("init");
    const [path, rootKey] = ["init-authority.json", "init-authority.root-key.pem"].map((name) =>
      join(folder.path, name),
    );
    expect(await signetCa(["authority", "status", "--config", config])).toMatchObject({
      ...{ code: 69, stderr: expect.stringMatching(/^signet-ca: authority\.store file:.*ENOENT/) },
    });
    const made = await signetCa(["authority", "init", "--config", config]);
    expect({ code: made.code, stdout: made.stdout }).toEqual({ code: 0, stdout: "" });
    for (const file of [path, rootKey]) expect((await stat(file ?? "")).mode & 0o777).toBe(0o600);
    const text = await readFile(path ?? "", "utf8");

    expect((await signetCa(["authority", "init", "--config", config])).code).toBe(69);
    expect(await readFile(path ?? "", "utf8")).toBe(text);

    const { authorities } = parseAuthorityDocument(text);
    const status = await signetCa(["authority", "status", "--config", config]);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^sequence 1\n/);
    expect(status.stdout).toContain(authorities[0]?.id);
    expect(status.stdout + status.stderr + made.stderr).not.toContain(authorities[0]?.key.pkcs8);
  });

  test("init and status are for the trust domain that they are told, and for no other than the configuration's", async () => {
    const trustDomains = [{ name: "edge.example.com", authority: { store: "file:edge-authority.json" } }];
    const config = await configFile("domains", undefined, { trustDomains });
    const edge = ["--config", config, "--trust-domain", "edge.example.com"];
    const made = await signetCa(["authority", "init", ...edge]);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining("for spiffe://edge.example.com") });
    await expect(stat(join(folder.path, "domains-authority.json"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await signetCa(["authority", "status", ...edge])).toMatchObject({ code: 0 });
    const { code, stderr } = await signetCa(["authority", "status", "--config", config, "--trust-domain", "other"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("--trust-domain other: the configuration has no other than cluster.local, edge"),
    });
  });

  test("init for a variable prints the document alone, on one line", async () => {
    const config = await configFile("env", "env:SIGNET_AUTHORITY");
    const unsaid = await signetCa(["authority", "init", "--config", config]);
    expect({ code: unsaid.code, stdout: unsaid.stdout }).toEqual({ code: 2, stdout: "" });
    const rootKey = join(folder.path, "env-root-key.pem");
    const { code, stdout, stderr } = await signetCa(["authority", "init", "--config", config, "--root-key", rootKey]);
    expect(code).toBe(0);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    const { authorities } = parseAuthorityDocument(stdout);
    expect(stderr).not.toContain(authorities[0]?.key.pkcs8);
    expect((await stat(rootKey)).mode & 0o777).toBe(0o600);
    // The variable feeds it back, the configuration too being in one.
    const env = { SIGNET_CONFIG: await readFile(config, "utf8"), SIGNET_AUTHORITY: stdout };
    expect((await signetCa(["authority", "status"], { env })).stdout).toContain(authorities[0]?.id);
  });

  test("init may forget the root's key", async () => {
    const config = await configFile("discard");
    expect((await signetCa(["authority", "init", "--config", config, "--discard-root-key"])).code).toBe(0);
    await stat(join(folder.path, "discard-authority.json"));
    await expect(stat(join(folder.path, "discard-authority.root-key.pem"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a reader who has seen enough is no fault", async () => {
    const config = await configFile("piped");
    const command = `"${process.execPath}" "${program}" check-config --config "${config}"; echo $? >&2`;
    const child = spawn("sh", ["-c", `{ ${command}; } | true`], { stdio: ["ignore", "ignore", "pipe"] });
    expect((await child.stderr.setEncoding("utf8").toArray()).join("")).toBe("0\n");
  });

  test("serve says where, answers there, and ends with 0 on SIGTERM", async () => {
    const config = await configFile("serve");
    const answers: Promise<number>[] = [];
    const ended = await signetCa(["serve", "--config", config, "--listen", "127.0.0.1:0", "--log-level", "silent"], {
      onLine(line, stop) {
        const url = /http:\/\/127\.0\.0\.1:\d+$/.exec(line)?.[0] ?? "";
        answers.push(
          fetch(`${url}/readyz`)
            .then(({ status }) => status)
            .finally(stop),
        );
      },
    });
    expect(await Promise.all(answers)).toEqual([200]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("serve in production without an authority ends with 69", async () => {
    const config = await configFile("production");
    const env = { NODE_ENV: "production" };
    const { code, stderr } = await signetCa(["serve", "--config", config, "--listen", "127.0.0.1:0"], { env });
    expect(code).toBe(69);
    expect(stderr).toContain("authority init");
  });
});
