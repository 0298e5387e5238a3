import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseConfig } from "@signet/ca/config";
import { serve } from "@signet/ca/entry/node/serve";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { caConfig } from "../support/ca-config.ts";
import { runToEnd } from "../support/processes.ts";
import { promtoolBinary } from "../support/promtool.ts";
import { repoRoot } from "../support/repo.ts";
import { makeServerCertificate } from "../support/server-certificate.ts";
import { makeLogger } from "../support/test-logger.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";
import { makePod, World } from "./world.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Record<string, string>;
}

interface Panel {
  readonly title: string;
  readonly description?: string;
  readonly type: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

interface Dashboard {
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[];
  };
  readonly panels: readonly Panel[];
}

const monitoring = join(repoRoot, "infra/monitoring");
const rulesOf = (file: string) =>
  (parse(readFileSync(join(monitoring, file), "utf8")).groups as { rules: Rule[] }[]).flatMap((group) => group.rules);
const rules = rulesOf("alerts.yaml");
const caRules = rulesOf("ca-alerts.yaml");
const dashboard = JSON.parse(readFileSync(join(monitoring, "dashboard.json"), "utf8")) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

let promtool: string | undefined;
let why: unknown;
let folder: WorkFolder;
beforeAll(async () => {
  folder = await makeWorkFolder("monitoring");
  promtool = await promtoolBinary().catch((error: unknown) => {
    why = error;
    return undefined;
  });
});
afterAll(() => folder.remove());

/** Runs promtool; where there is none, CI fails, and who works on something else is told. */
async function runPromtool(skip: (why: string) => void, args: readonly string[], cwd = folder.path): Promise<string> {
  if (promtool === undefined) {
    if (process.env.CI !== undefined) throw new Error("there is no promtool, which CI must have", { cause: why });
    skip(`there is no promtool (Debian's package is called prometheus): ${String(why)}`);
    return "";
  }
  const { stdout } = await runToEnd(promtool, args, { cwd });
  return stdout;
}

describe("alerts", () => {
  test.for([
    { name: "alerts", list: rules },
    { name: "ca-alerts", list: caRules },
  ])("$name are rules that Prometheus takes, and fire when they should", async ({ name, list }, { skip }) => {
    const names = new Set(list.map(({ alert }) => alert));
    expect(await runPromtool(skip, ["check", "rules", `${name}.yaml`], monitoring)).toContain(
      `${names.size} rules found`,
    );
    expect(await runPromtool(skip, ["test", "rules", `${name}.test.yaml`], monitoring)).toContain("SUCCESS");
    const tested = readFileSync(join(monitoring, `${name}.test.yaml`), "utf8");
    expect([...names].filter((alert) => !tested.includes(alert))).toEqual([]);
  });

  test.each([...rules, ...caRules])("$alert says what happens and what to do", ({ annotations, labels }) => {
    expect(Object.keys(annotations)).toEqual(["summary", "description", "runbook"]);
    for (const text of Object.values(annotations)) expect(text.length).toBeGreaterThan(20);
    expect(["info", "warning", "critical"]).toContain(labels.severity);
  });
});

describe("the dashboard", () => {
  test("asks what Prometheus understands", async ({ skip }) => {
    const filled = queries.map((expr) =>
      expr.replace("[$__rate_interval]", "[5m]").replaceAll("$__rate_interval", "5m"),
    );
    const asRules = {
      groups: [{ name: "queries", rules: filled.map((expr, at) => ({ record: `query:q${at}`, expr })) }],
    };
    const file = join(folder.path, "queries.json");
    await writeFile(file, JSON.stringify(asRules));
    expect(await runPromtool(skip, ["check", "rules", file])).toContain(`${queries.length} rules found`);
  });

  test("asks the data source that is chosen, and explains each panel", () => {
    const chosen = `\${${dashboard.templating.list[0]?.name}}`;
    for (const { datasource, description, targets = [], title, type } of dashboard.panels) {
      if (type === "row") continue;
      expect(description, title).toMatch(/.{10}/);
      expect([datasource, ...targets.map((target) => target.datasource)].map((one) => one?.uid)).toEqual(
        Array.from({ length: targets.length + 1 }, () => chosen),
      );
    }
  });

  test("has panels side by side, none over another", () => {
    const taken = new Map<string, string>();
    for (const { gridPos, title } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), title).toBeUndefined();
          taken.set(`${x} ${y}`, title);
        }
      }
    }
  });
});

describe("a real agent's metrics", () => {
  let world: World;
  let text: string;
  beforeAll(async () => {
    world = await World.start();
    const stream = world
      .client()
      .withToken(world.ca.token(makePod()))
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    // The second has what the first has begun to watch.
    for (const _ of [1, 2]) text = await (await fetch(`${world.agent.adminUrl}/metrics`)).text();
  });
  afterAll(() => world.stop());

  test("are as Prometheus wants them", async ({ skip }) => {
    const file = join(folder.path, "metrics.txt");
    await writeFile(file, text);
    if (promtool === undefined) await runPromtool(skip, []);
    else await runToEnd("sh", ["-c", `"${promtool}" check metrics < "${file}"`]);
  });

  test("have every name that alerts and dashboard use", () => {
    const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const variables = dashboard.templating.list.map(({ query }) => (typeof query === "string" ? query : query.query));
    const used = [...rules.map(({ expr }) => expr), ...queries, ...variables].flatMap((expr) =>
      [...expr.matchAll(/\b(?:signet_agent|process|nodejs)_[a-z_]+/g)].map(([name]) => name),
    );
    const families = new Set(used.map((name) => (known.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ""))));
    expect(families.size).toBeGreaterThan(30);
    expect([...families].filter((name) => !known.has(name))).toEqual([]);
  });

  test("are all told in the README", () => {
    const readme = readFileSync(join(monitoring, "README.md"), "utf8");
    const own = [...text.matchAll(/^# TYPE (signet_agent\S+) (\S+)/gm)].map(
      ([, name, type]) => `| \`${name}\` | ${type} |`,
    );
    expect(own.length).toBeGreaterThan(30);
    expect(own.filter((line) => !readme.includes(line))).toEqual([]);
  });
});

describe("a real CA's metrics", () => {
  let text: string;
  beforeAll(async () => {
    const { jwks } = await TokenIssuer.create();
    await writeFile(join(folder.path, "deny.json"), "{}");
    await writeFile(join(folder.path, "jwks.json"), JSON.stringify(jwks));
    const config = {
      ...caConfig({ keys: "file:jwks.json" }),
      policy: { default: "allow", denyLists: ["file:deny.json"] },
      audit: { sinks: [{ type: "https", url: "https://localhost/audit" }] },
    };
    const ca = await serve({
      ...{ config: parseConfig(JSON.stringify(config), "ca.jsonc"), source: "ca.jsonc", folder: folder.path },
      ...{ host: "127.0.0.1", port: 0, tls: makeServerCertificate(folder.path, "ca") },
      ...{ admin: { host: "127.0.0.1", port: 0 }, logger: makeLogger() },
    });
    await fetch(`${ca.adminUrl}/readyz`);
    text = await (await fetch(`${ca.adminUrl}/metrics`)).text();
    await ca.stop();
  });

  test("are as Prometheus wants them", async ({ skip }) => {
    const file = join(folder.path, "ca-metrics.txt");
    // Names of Node's own that are as they are.
    await writeFile(file, text.replaceAll(/^.*\bnodejs_.*$\n/gm, ""));
    if (promtool === undefined) await runPromtool(skip, []);
    else await runToEnd("sh", ["-c", `"${promtool}" check metrics < "${file}"`]);
  });

  test("have every name that alerts use, and are all told in the README", () => {
    const known = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map(([, name, type]) => [name, type]));
    const used = caRules.flatMap(({ expr }) => [...expr.matchAll(/\bsignet_ca_[a-z_]+/g)].map(([name]) => name));
    const families = [...new Set(used.map((name) => name.replace(/_(bucket|sum|count)$/, "")))];
    expect(families.length).toBeGreaterThan(8);
    expect(families.filter((name) => !known.has(name))).toEqual([]);
    const readme = readFileSync(join(monitoring, "README.md"), "utf8");
    const own = [...known].filter(([name]) => name?.startsWith("signet_ca_"));
    expect(own.length).toBeGreaterThan(15);
    expect(own.filter(([name, type]) => !readme.includes(`| \`${name}\` | ${type} |`))).toEqual([]);
  });
});
