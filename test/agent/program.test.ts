import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { untilOk } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { agentProgram, ensureBuilt } from "../support/repo.ts";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { SdsClient } from "./sds-client.ts";
import { makePod } from "./world.ts";

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

let folder: string;
let ca: ScriptedCa;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  await ensureBuilt();
  ca = await ScriptedCa.start();
});
afterAll(async () => {
  await ca.stop();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signet-program-"));
});
afterEach(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [agentProgram, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH ?? "", ...env },
  });
  running.add(child);
  let output = "";
  for (const pipe of [child.stdout, child.stderr]) {
    pipe?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const exit = once(child, "close").then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, output: () => output, exit };
}

const usual = (more: readonly string[] = []) => [
  "run",
  ...["--ca-url", ca.url, "--trust-domain", "cluster.local", "--socket", join(folder, "s"), "--admin", "off", ...more],
];

describe("the command line", () => {
  test("--help teaches; --version tells", async () => {
    const help = run(["run", "--help"]);
    expect(await help.exit).toBe(0);
    for (const word of ["--ca-url", "SIGNET_CA_URL", "caUrl", "73", "Example:"]) expect(help.output()).toContain(word);
    const version = run(["--version"]);
    expect(await version.exit).toBe(0);
    expect(version.output()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([{ args: [] }, { args: ["walk"] }, { args: ["run", "--ca-url"] }])(
    "$args ends with 2",
    async ({ args }) => {
      const wrong = run(args);
      expect(await wrong.exit).toBe(2);
      expect(wrong.output()).not.toBe("");
    },
  );

  test("tells all faults at once, whatever they came from, and ends with 2", async () => {
    const file = join(folder, "agent.jsonc");
    writeFileSync(file, '{ "caUrll": "x", /* twice */ "socketMode": "rw", "admin": 15021, }');
    const wrong = run(["run", "--config", file, "--sokcet", "/x", "--log-level", "loud", "--csi-socket", "/csi"], {
      SIGNET_CA_URL: "http://ca.example.com",
      SIGNET_TRUSTDOMAIN: "cluster.local",
      SIGNET_CONFIG: "{}",
      SIGNET_VALIDATOR: "spire",
      SIGNET_BUNDLE_NAME: "*",
      SIGNET_CA_SERVICE_HOST: "10.0.0.1",
      SIGNET_CA_PORT_8443_TCP_ADDR: "10.0.0.1",
    });
    expect(await wrong.exit).toBe(2);
    const text = wrong.output();
    for (const part of [
      "caUrll (",
      "socketMode (",
      "admin (",
      "--sokcet: unknown flag",
      "logLevel (--log-level)",
      "nodeName: missing; csiSocket needs it, give --node-name",
      "caUrl (SIGNET_CA_URL): http://ca.example.com is not safe",
      "SIGNET_TRUSTDOMAIN: unknown variable",
      "trustDomain: missing; give --trust-domain",
      'validator (SIGNET_VALIDATOR): "spire" is none of trusted-ca, spiffe',
      'bundleName (SIGNET_BUNDLE_NAME): "*" means everything',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain("SIGNET_CA_SERVICE_HOST:");
    expect(text).not.toContain("    at ");
  });

  test("a flag goes before a variable, a variable before the file", async () => {
    const file = join(folder, "agent.jsonc");
    writeFileSync(file, `{ "socket": "${folder}/file/s", "trustDomain": "UPPER" }`);
    const started = run(["run", "--config", file, "--ca-url", ca.url, "--socket", join(folder, "flag/s")], {
      SIGNET_TRUST_DOMAIN: "cluster.local",
      SIGNET_SOCKET: join(folder, "variable/s"),
    });
    expect(await started.exit).toBe(73);
    expect(started.output()).toContain(join(folder, "flag"));
  });
});

describe("exit codes", () => {
  test("73 without the socket's directory, in one clear line", async () => {
    const failed = run([...usual(), "--socket", join(folder, "missing/s")]);
    expect(await failed.exit).toBe(73);
    const lines = failed.output().trim().split("\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(join(folder, "missing"));
  });

  test("73 where another agent serves the socket", async () => {
    const first = run(usual());
    await untilServing(first);
    const second = run(usual());
    expect(await second.exit).toBe(73);
    expect(second.output()).toContain("served by another process");
    expect(existsSync(join(folder, "s"))).toBe(true);
    first.child.kill("SIGTERM");
    expect(await first.exit).toBe(0);
  });

  test("69 where the admin address is taken, and no socket is left", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = taken.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const failed = run(usual(["--admin", `127.0.0.1:${port}`]));
    expect(await failed.exit).toBe(69);
    expect(failed.output()).toContain(`127.0.0.1:${port} is in use`);
    expect(existsSync(join(folder, "s"))).toBe(false);
    taken.close();
  });
});

describe("a life", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s ends streams, takes the socket away and ends with 0",
    async (signal) => {
      const port = await freePort();
      const agent = run(usual(["--admin", `127.0.0.1:${port}`]));
      await untilOk("the agent", `http://127.0.0.1:${port}/readyz`);
      expect(statSync(join(folder, "s")).mode & 0o777).toBe(0o666);
      const client = new SdsClient(join(folder, "s"));
      const stream = client.withToken(ca.token(makePod())).request({ names: ["default"] });
      await stream.nextAcked(["default"]);
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(metrics).toContain("signet_agent_sds_streams 1");
      expect(metrics).toMatch(/signet_agent_issuance_total\{result="issued"\} 1/);
      expect(metrics).toContain("signet_agent_ca_request_seconds_count 1");
      expect(metrics).toMatch(
        /certificate_expiry_timestamp_seconds\{spiffe_id="spiffe:\/\/cluster.local\/ns\/foo\/sa\/sleep",workload="foo\/sleep-\d+"\} \d{10}/,
      );
      agent.child.kill(signal);
      expect(await agent.exit).toBe(0);
      expect(existsSync(join(folder, "s"))).toBe(false);
      await stream.end();
      client.close();
      const lines = agent.output().trim().split("\n");
      for (const line of lines) expect(JSON.parse(line)).toMatchObject({ program: "signet-agent" });
      expect(agent.output()).not.toMatch(/-----BEGIN|eyJ/);
    },
  );
});

async function untilServing(agent: Run): Promise<void> {
  while (!agent.output().includes("serving SDS")) await once(agent.child.stderr ?? agent.child, "data");
}
