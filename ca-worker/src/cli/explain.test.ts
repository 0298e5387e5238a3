import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificate, nodeTokenHeader } from "@signet/shared/ca-api";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { agentServiceAccount, caConfig } from "../../../test/support/ca-config.ts";
import { authorityFor, startCaInProcess } from "../../../test/support/ca-in-process.ts";
import { dnsName, makeCsr, makeKey } from "../../../test/support/csr.ts";
import { makeNode, makePod, TokenIssuer, type TokenOverrides } from "../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../test/support/work-folder.ts";
import { explain } from "./explain/walk.ts";
import { explainCommand } from "./explain.ts";

const node = makeNode("node-1");
const pod = (namespace: string, serviceAccount: string, at = node) => makePod(namespace, serviceAccount, at);
const agent = pod(agentServiceAccount.namespace, agentServiceAccount.name);
const deniedPod = pod("team-a", "denied");
const id = "spiffe://cluster.local/ns/team-a/sa/sleep";
const policy = {
  default: "deny",
  rules: [
    { name: "no-admins", effect: "deny", serviceAccounts: ["admin*"] },
    { name: "west", effect: "allow", namespaces: ["west"] },
    {
      ...{ name: "teams", effect: "allow", namespaces: ["team-*"], maxTtl: "30m" },
      dnsNames: ["{serviceAccount}.{namespace}.svc"],
    },
  ],
  denyLists: ["file:deny.json"],
};
const denyList = JSON.stringify({ podUids: [deniedPod.pod.uid] });

let issuer: TokenIssuer;
let config: object;
let openAuthority: Awaited<ReturnType<typeof authorityFor>>;
beforeAll(async () => {
  openAuthority = await authorityFor("cluster.local");
  issuer = await TokenIssuer.create();
  config = { ...caConfig({ keys: issuer.jwks }), policy };
});

describe("what is explained", () => {
  interface Case {
    readonly name: string;
    readonly who?: ReturnType<typeof makePod>;
    readonly token?: TokenOverrides;
    readonly agent?: ReturnType<typeof makePod>;
    readonly csr?: string;
    readonly ttlSeconds?: number;
    readonly step: string;
    /** Found in the facts of that step. */
    readonly facts?: object;
  }

  test.each<Case>([
    { name: "a certificate", step: "issued", csr: makeCsr({ uris: [id] }) },
    { name: "a life that is shortened", step: "issued", ttlSeconds: 86_400 },
    { name: "a life that is not", step: "issued", ttlSeconds: 60 },
    { name: "a token that has expired", token: { lifetime: -1 }, step: "workload" },
    { name: "a token of nobody", token: { sign: "none" }, step: "workload" },
    { name: "a token of another node", who: pod("team-a", "sleep", makeNode("node-2")), step: "workload" },
    { name: "an agent that is none", agent: pod("team-a", "sleep"), step: "agent" },
    {
      name: "a rule that denies",
      ...{ who: pod("team-a", "admin-1"), step: "policy" },
      facts: { decidedBy: "a rule", rule: "no-admins", effect: "deny", matches: { serviceAccounts: "admin*" } },
    },
    {
      name: "no rule",
      ...{ who: pod("foo", "sleep"), step: "policy" },
      facts: {
        ...{ decidedBy: "policy.default", effect: "deny", passedOver: 3 },
        passedOverBecauseOf: { "no-admins": "serviceAccounts", west: "namespaces", teams: "namespaces" },
      },
    },
    {
      name: "a deny list",
      ...{ who: deniedPod, step: "policy" },
      facts: { decidedBy: "a deny list", denyList: "file:deny.json", member: "podUids" },
    },
    { name: "an account with a name that fits no DNS name", who: pod("team-a", "a.b"), step: "policy" },
    { name: "a key that is not taken", csr: makeCsr({ key: makeKey("ed25519") }), step: "csr" },
    { name: "no CSR", csr: "-----BEGIN NOTHING-----", step: "csr" },
    { name: "a CSR that is too long", csr: "x".repeat(20_000), step: "csr" },
    { name: "a CSR with a DNS name", csr: makeCsr({ names: [dnsName("a")] }), step: "csr" },
    { name: "a CSR for another", csr: makeCsr({ uris: [id.replace("sleep", "other")] }), step: "grant" },
  ])(
    "is what the CA does: $name",
    async ({ who = pod("team-a", "sleep"), token: overrides, csr = makeCsr(), ...more }) => {
      const ca = await startCaInProcess(config, {
        open: (place) => (place === "file:deny.json" ? { read: () => denyList } : openAuthority(place)),
      });
      const { ttlSeconds, step, facts = {} } = more;
      const token = await issuer.token(who, overrides);
      const nodeToken = await issuer.token(more.agent ?? agent);
      const response = await ca.fetch("/v1/certificates", {
        method: "POST",
        headers: {
          ...{ "content-type": "application/json", authorization: `Bearer ${token}`, [nodeTokenHeader]: nodeToken },
        },
        body: JSON.stringify({ csr, ttlSeconds }),
      });
      const explanation = await explain({ token, nodeToken, csr, ttlSeconds }, ca.deps);
      const body = (await response.json()) as Certificate & { type?: string };
      if (explanation.verdict === "issued") {
        expect({ status: response.status, step }).toEqual({ status: 201, step: "issued" });
        const { grant } = explanation;
        expect(grant.spiffeId.toString()).toBe(body.spiffeId);
        const life = (Date.parse(body.notAfter) - Date.now()) / 1000;
        expect(Math.abs(life - grant.ttlSeconds)).toBeLessThan(30);
      } else {
        const { code, status } = explanation;
        expect({ status, type: `urn:signet:problem:${code}`, step: explanation.step }).toEqual({
          ...{ status: response.status, type: body.type, step },
        });
        const last = explanation.steps.at(-1);
        expect(last).toMatchObject({ step, outcome: "refused", reason: explanation.reason, facts });
      }
    },
  );
});

describe("signet-ca explain", () => {
  let folder: WorkFolder;
  let [written, told] = ["", ""];
  const file = (name: string) => join(folder.path, name);

  beforeAll(async () => {
    folder = await makeWorkFolder("explain");
    const files = {
      "ca.json": JSON.stringify(config),
      // As where the CA runs in a cluster, seen from outside of it.
      "cluster.json": JSON.stringify({
        ...caConfig({ keys: issuer.jwks, store: "kubernetes:signet-system/authority" }),
        issuers: [{ issuer: "in-cluster", audiences: ["signet-ca"] }],
      }),
      "jwks.json": JSON.stringify(issuer.jwks),
      "deny.json": denyList,
      "deny-node.json": JSON.stringify({ nodeUids: [node.uid] }),
      token: `${await issuer.token(pod("team-a", "sleep"))}\n`,
      "old-token": await issuer.token(pod("team-a", "sleep"), {
        claims: { iat: 1_700_000_000, nbf: 1_700_000_000, exp: 1_700_003_600 },
      }),
      "node-token": await issuer.token(agent),
      csr: makeCsr(),
    };
    await Promise.all(Object.entries(files).map(([name, text]) => writeFile(file(name), text)));
  });
  afterAll(() => folder.remove());
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  async function run(...args: string[]): Promise<number | string | undefined> {
    [written, told] = ["", ""];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      written += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      told += String(text);
      return true;
    });
    process.exitCode = undefined;
    await explainCommand().exitOverride().parseAsync(args, { from: "user" });
    return process.exitCode;
  }
  async function expectNothingShown(): Promise<void> {
    for (const name of ["token", "node-token", "csr"]) {
      const parts = (await readFile(file(name), "utf8")).split(/[.\s]/).filter(({ length }) => length > 16);
      expect(parts.length).toBeGreaterThan(2);
      for (const part of parts) expect(written + told).not.toContain(part.slice(0, 16));
    }
  }
  const given = (config = "ca.json", token = "token") => [
    ...["--config", file(config), "--token", file(token), "--csr", file("csr")],
  ];
  const bound = () => [...given(), "--node-token", file("node-token")];

  test("says which rule gives what, and shows neither tokens nor CSR", async () => {
    expect(await run(...bound(), "--ttl", "2h")).toBe(0);
    expect(written).toMatch(/^ALLOWED: the CA would sign this certificate by rule teams\n/);
    for (const line of [`SPIFFE ID +${id}`, "DNS names +sleep\\.team-a\\.svc", "lives +30m", "namespaces +team-\\*"]) {
      expect(written).toMatch(new RegExp(`^ +${line}$`, "m"));
    }
    await expectNothingShown();
  });

  test("shows none of them either where they are mixed up", async () => {
    const config = ["--config", file("ca.json")];
    expect(await run(...config, "--token", file("csr"), "--csr", file("token"))).toBe(65);
    await expectNothingShown();
    expect(await run(...config, "--token", file("token"), "--csr", file("node-token"), "--json")).toBe(65);
    expect(JSON.parse(written)).toMatchObject({ verdict: "refused", step: "csr", code: "malformed-csr" });
    await expectNothingShown();
  });

  test("tells programs the same", async () => {
    expect(await run(...bound(), "--deny-list", file("deny-node.json"), "--json")).toBe(65);
    expect(JSON.parse(written)).toMatchObject({
      ...{ verdict: "refused", step: "policy", code: "identity-not-entitled", status: 403, nodeBindingJudged: true },
      steps: [
        { step: "agent", outcome: "passed", facts: { nodeUid: node.uid } },
        { step: "workload", outcome: "passed", facts: { subject: "system:serviceaccount:team-a:sleep" } },
        { step: "policy", outcome: "refused", facts: { decidedBy: "a deny list", member: "nodeUids" } },
      ],
    });
    expect(await run(...bound(), "--json")).toBe(0);
    expect(JSON.parse(written)).toMatchObject({
      verdict: "issued",
      certificate: {
        ...{ spiffeId: id, dnsNames: ["sleep.team-a.svc"], keyKind: "p256", ttlSeconds: 1_800, rule: "teams" },
      },
    });
  });

  test("judges without an agent's token all but node binding, and says so", async () => {
    expect(await run(...given())).toBe(0);
    expect(written).toMatch(/^ALLOWED: .* by rule teams, where its own node's agent asks for it\n/);
    expect(written).toContain("node binding is not judged");
  });

  test("cannot know without a deny list that the CA would need", async () => {
    expect(await run(...bound(), "--deny-list", file("nowhere.json"))).toBe(69);
    expect(written).toMatch(/^UNDECIDED at the policy: something is missing; the client gets 503 cannot-sign\n/);
  });

  test("judges an old token as of its time", async () => {
    expect(await run(...given("ca.json", "old-token"))).toBe(65);
    expect(written).toMatch(/because +token: it has expired$/m);
    expect(written).toContain("--at TIME");
    expect(await run(...given("ca.json", "old-token"), "--at", "2023-11-14T22:30:00Z")).toBe(0);
  });

  test("needs no cluster where it is told the cluster's issuer", async () => {
    const cluster = ["--cluster-issuer", issuer.issuer, "--cluster-keys", file("jwks.json")];
    expect(await run(...given("cluster.json"), ...cluster)).toBe(0);
    expect(written).toMatch(/^ALLOWED: the CA would sign this certificate by policy\.default/);
  });

  test.each([
    { rule: "a file that is not there", args: ["--node-token", "nowhere"], message: /--node-token nowhere: .*ENOENT/ },
    { rule: "no duration", args: ["--ttl", "soon"], message: /--ttl: "soon" is no duration/ },
    { rule: "no time", args: ["--at", "yesterday"], message: /--at: "yesterday" is no time/ },
    { rule: "half a cluster", args: ["--cluster-issuer", "a"], message: /go together/ },
  ])("refuses $rule", async ({ args, message }) => {
    await expect(run(...given(), ...args)).rejects.toMatchObject({
      ...{ code: "config-invalid", message: expect.stringMatching(message) },
    });
  });
});
