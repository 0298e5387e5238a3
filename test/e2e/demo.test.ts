import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { envoyBinary } from "../support/envoy-binary.ts";
import { until } from "../support/poll.ts";
import { repoRoot } from "../support/repo.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

const agentAndEnvoysAndWorkerd = 6;

/** The demo as a person runs it, in a temporary folder of its own and with a mark that all its processes inherit. */
class DemoRun {
  output = "";
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #mark = randomUUID();

  constructor(folder: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, [join(repoRoot, "test/demo/main.ts"), ...args], {
      cwd: folder,
      env: { ...process.env, TMPDIR: folder, DEMO_RUN_MARK: this.#mark, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) => this.#child.once("close", resolve));
  }

  /** Ids of the processes that carry the mark, the demo itself among them. */
  processes(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/environ`, "latin1").includes(this.#mark);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  async untilPrinted(text: string): Promise<void> {
    await until(`the demo to print "${text}"`, () => this.output.includes(text), {
      within: 60_000,
      giveUp: () => (this.#child.exitCode === null ? undefined : new Error(`the demo ended:\n${this.output}`)),
    });
  }

  interrupt(): void {
    this.#child.kill("SIGINT");
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    await this.ended;
  }
}

let work: WorkFolder;
let demo: DemoRun | undefined;

beforeEach(async () => {
  // Fetched outside of the time that a test takes.
  await envoyBinary();
  work = await makeWorkFolder("run");
});
afterEach(async () => {
  await demo?.end();
  await work.remove();
});

async function expectNothingLeft(run: DemoRun): Promise<void> {
  // What was killed takes a moment to be gone.
  await until(`the demo's processes to be gone`, () => run.processes().length === 0, { within: 10_000 });
  expect(readdirSync(work.path)).toEqual([]);
  const ports = new Set([...run.output.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)));
  for (const port of ports) expect(await isOpen(port), `port ${port}`).toBe(false);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

describe("npm run demo", () => {
  it("shows the whole mission, ends with 0 and leaves nothing", async () => {
    demo = new DemoRun(work.path);
    const code = await demo.ended;
    const { output } = demo;
    expect(code, output).toBe(0);
    const lines = output.split("\n");
    expect(lines.filter((line) => line.startsWith("sleep.") && line.includes(" to "))).toEqual([
      "sleep.foo to httpbin.foo: 200",
      "sleep.foo to httpbin.bar: 200",
      "sleep.bar to httpbin.foo: 200",
      "sleep.bar to httpbin.bar: 200",
    ]);
    for (const id of ["ns/foo/sa/sleep", "ns/bar/sa/sleep", "ns/foo/sa/httpbin", "ns/bar/sa/httpbin"]) {
      expect(output).toContain(`spiffe://cluster.local/${id} `);
    }
    expect(output.match(/^ok {2}no answer for a client/gm)).toHaveLength(4);
    expect(output.match(/^ok {2}searched \d+ files, [\d,]+ bytes: none has/gm)).toHaveLength(2);
    expect(output.match(/^ok {2}requests \d+, failures 0, /gm)).toHaveLength(2);
    expect(output).toContain("no Envoy restarted");
    expect(output).toContain("CA killed");
    expect(output).toMatch(/127\.0\.0\.1:\d+/);
    // No escape sequences where nobody looks at a terminal.
    expect(output).not.toContain("\x1b");
    await expectNothingLeft(demo);
  }, 120_000);

  it.each(["Start", "ok  node agent", "sleep.bar to httpbin.bar", "Rotation while requests flow"])(
    "leaves nothing after Ctrl-C at '%s'",
    async (moment) => {
      demo = new DemoRun(work.path);
      await demo.untilPrinted(moment);
      demo.interrupt();
      expect(await demo.ended, demo.output).toBe(130);
      expect(demo.output).not.toContain("FAILED");
      await expectNothingLeft(demo);
    },
    90_000,
  );

  it("runs on with --keep until Ctrl-C", async () => {
    demo = new DemoRun(work.path, ["--keep"]);
    await demo.untilPrinted("logs, configurations  ");
    expect(demo.processes().length).toBeGreaterThan(agentAndEnvoysAndWorkerd);
    const curls = [...demo.output.matchAll(/curl (http\S+)/g)].map(([, url]) => url ?? "");
    expect(curls.length).toBeGreaterThan(10);
    for (const url of curls) expect((await fetch(url)).status, url).toBe(200);
    demo.interrupt();
    expect(await demo.ended, demo.output).toBe(0);
    await expectNothingLeft(demo);
  }, 120_000);

  it("says what to do when there is no Envoy", async () => {
    demo = new DemoRun(work.path, [], { ENVOY_BIN: join(work.path, "not-there") });
    expect(await demo.ended).toBe(1);
    expect(demo.output).toMatch(/FAILED {2}ENVOY_BIN names .*not-there, which is no program/);
    expect(readdirSync(work.path)).toEqual([]);
  });

  it("explains itself and refuses flags that it does not know", async () => {
    demo = new DemoRun(work.path, ["--help"]);
    expect(await demo.ended).toBe(0);
    expect(demo.output).toContain("--keep");
    demo = new DemoRun(work.path, ["--forever"]);
    expect(await demo.ended).toBe(2);
    expect(demo.output).toContain("--forever");
  });
});
