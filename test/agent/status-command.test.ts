import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runStatus } from "@signet/node-agent/status/command";
import type { StatusFlags } from "@signet/node-agent/status/flags";
import { version } from "@signet/node-agent/version";
import { afterEach, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import {
  bundleOf,
  caBusy,
  inTrouble,
  iso,
  type Shown,
  serve,
  serveText,
  stopAll,
  stopOne,
  troubled,
  well,
  workload,
} from "./admin-stand-in.ts";
import { type TestIoOptions, testIo } from "./command-io.ts";
import { makePod, World } from "./world.ts";

const hostile = "\u001b[2J\u001b]0;owned\u0007\r\n  ok  all is well\u202e";

afterEach(stopAll);

async function status(flags: Partial<StatusFlags>, options: TestIoOptions = {}) {
  const { io, shown, told } = testIo(options);
  const code = await runStatus({ interval: 2, ...flags }, io);
  return { code, shown: shown(), told: told() };
}

describe("of an agent that runs", () => {
  test("is what the page shows, and 0", async () => {
    const world = await World.start();
    const pod = { ...makePod(), podName: "sleep-1" };
    const stream = world
      .client()
      .withToken(world.ca.token(pod))
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    const admin = new URL(world.agent.adminUrl ?? "").host;
    const { code, shown } = await status({ admin });
    const steady = shown
      .replace(/\bnow\b|\d+s ago/g, "AGO")
      .replace(/(?:\d+m )?\d+s +/g, "SPAN ")
      .replace(/\(\d{4}-\d\d-\d\d\), sha256 [0-9a-f]{16}\n/, "(DATE), sha256 HASH\n");
    expect(steady).toBe(`signet-agent ${version} · up SPAN · trust domain cluster.local
socket ${world.socket} · 1 stream

CA         healthy  ${world.ca.url}/ · last success AGO
bundle     sequence 1 · learned AGO · looked for every 1m
           root CN=root, ends in 29d 23h (DATE), sha256 HASH
so far     1 certificate

workloads  1
  STATE  WORKLOAD   POD      EXPIRES     LEFT      RENEWS      STREAMS
  ok     foo/sleep  sleep-1  in SPAN ████████  in SPAN 1

all is well
`);
    expect(code).toBe(0);
    await world.stop();
  });

  test("follows the configuration file and the variable to its admin address", async () => {
    const world = await World.start();
    const admin = new URL(world.agent.adminUrl ?? "").host;
    const file = join(world.folder, "agent.jsonc");
    writeFileSync(file, `{ "admin": "${admin}" }`);
    expect((await status({ config: file })).shown).toContain("trust domain cluster.local");
    expect((await status({}, { env: { SIGNET_ADMIN: admin, SIGNET_OTHER: "x" } })).shown).toContain("trust domain");
    await world.stop();
  });
});

const whole = `signet-agent 1.2.3 · node node-1 · up 3h · trust domain cluster.local
socket /var/run/sds/uds_path · 7 streams · CSI driver registered, 2 volumes

CA         healthy  https://a.example.com/ · last success 12s ago
           failing  https://b.example.com/ · last success 10m ago · next try in 4s
                    ca-busy: the CA cannot answer now: HTTP status 503
bundle     sequence 4 · learned 2h ago · looked for every 5m
           root CN=root, O=Example, ends in 300d (2027-09-21), sha256 abababababababab
so far     8 certificates · 12 failures (ca-busy 11, ca-unreachable 1) · 2 refused streams (token-expired 2) · 1 refused connection (too-many 1) · 1 NACK · clock stepped forward 1 time · clock stepped back 2 times

workloads  7
  STATE      WORKLOAD   POD       EXPIRES  LEFT      RENEWS  STREAMS  LAST ERROR
  expired    shop/cart  pod-gone  1m ago   ░░░░░░░░  now           2  ca-busy: the CA cannot answer now: HTTP status 503
  late       shop/cart  pod-late  in 15m   █████░░░  now           2
  refused    shop/cart  pod-no    in 50m   ███████░  in 20m        2  token-not-accepted: the CA refuses
  tokenless  shop/cart  pod-wait  in 50m   ███████░  in 20m        0
  failing    shop/cart  pod-try   in 50m   ███████░  now           2  ca-busy: the CA cannot answer now: HTTP status 503
  idle       shop/cart  pod-idle  2m ago   ░░░░░░░░  now           0
  ok         shop/cart  pod-ok    in 50m   ███████░  in 20m        2

needs attention:
  1 workload expired
  1 workload late
  1 workload refused
  1 workload tokenless
  1 workload failing
  the CA at https://b.example.com/ fails
`;

describe("trouble", () => {
  test("stands first, each kind with its word, and ends with 1", async () => {
    const { code, shown } = await status({ admin: await serve(troubled, inTrouble) });
    expect(shown).toBe(whole);
    expect(code).toBe(1);
  });

  test.each<[string, Partial<Shown>, string]>([
    ["no bundle", { bundle: null }, "no trust bundle yet"],
    ["not ready", { notReady: "the socket is not listening" }, "not ready: the socket is not listening"],
    ["a root that ends", { bundle: { ...bundleOf(3 * 86_400) } }, "the root CN=r ends in 3d"],
    ["a root that has ended", { bundle: { ...bundleOf(-60) } }, "the root CN=r ended 1m ago"],
    ["an endpoint that fails", { ca: troubled.ca }, "the CA at https://b.example.com/ fails"],
  ])("%s ends with 1", async (_what, more, line) => {
    const { code, shown } = await status({ admin: await serve({ ...well, ...more }, [workload()]) });
    expect(shown).toContain(`needs attention:\n  ${line}\n`);
    expect(code).toBe(1);
  });

  test("filters leave the rest out, of the verdict too where a namespace is asked for", async () => {
    const admin = await serve(well, [
      workload({ podName: "a" }),
      workload({ podName: "b", namespace: "bar", lastError: caBusy }),
    ]);
    const errors = await status({ admin, errors: true });
    expect(errors.shown).toContain("workloads  1 of 2\n");
    expect(errors.shown).not.toContain("shop/cart");
    expect(errors.code).toBe(1);
    const shop = await status({ admin, namespace: "shop" });
    expect(shop.shown).not.toContain("bar/cart");
    expect(shop.code).toBe(0);
  });
});

describe("in a terminal", () => {
  const window = { columns: 80, rows: 24 };

  test("has colours, unless NO_COLOR or TERM says no; a pipe has none", async () => {
    const admin = await serve(troubled, inTrouble);
    expect((await status({ admin }, { window })).shown).toContain("\u001b[31mexpired");
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
      expect((await status({ admin }, { window, env })).shown).not.toContain("\u001b");
    }
    expect((await status({ admin })).shown).not.toContain("\u001b");
  });

  test.each([60, 80, 100, 140])("keeps to %d columns", async (columns) => {
    const long = workload({ podName: "frontend-".repeat(9), serviceAccount: "s".repeat(63), lastError: caBusy });
    const admin = await serve({ ...troubled, socket: `/${"long/".repeat(30)}` }, [long, ...inTrouble]);
    const { shown } = await status({ admin }, { window: { columns, rows: 50 }, env: { NO_COLOR: "1" } });
    for (const line of shown.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(columns);
    expect(shown).toContain("ca-busy");
  });

  test("a thousand workloads: those in trouble are all there, the others as there is room", async () => {
    const many = Array.from({ length: 1_000 }, (_, at) => workload(at % 100 === 0 ? { lastError: caBusy } : {}));
    const admin = await serve(well, many);
    const { shown } = await status({ admin }, { window, env: { NO_COLOR: "1" } });
    expect(shown.match(/^ {2}failing /gm)).toHaveLength(10);
    expect(shown).toMatch(
      /and \d+ more that are well; --all shows them\n\nneeds attention:\n {2}10 workloads failing\n$/,
    );
    expect(shown.split("\n").length).toBeLessThan(50);
    const all = await status({ admin, all: true }, { window });
    expect(all.shown.match(/shop\/cart/g)).toHaveLength(1_000);
    expect((await status({ admin })).shown.match(/shop\/cart/g)).toHaveLength(1_000);
  });

  test("the same error for one after the other is told once", async () => {
    const admin = await serve(well, [
      ...[1, 2, 3].map(() => workload({ lastError: caBusy })),
      workload({ lastError: { code: "ca-unreachable", message: "gone" }, notAfter: iso(3_600) }),
    ]);
    const { shown } = await status({ admin }, { window });
    expect(shown.match(/ca-busy/g)).toHaveLength(1);
    expect(shown.match(/ca-unreachable/g)).toHaveLength(1);
    expect((await status({ admin })).shown.match(/ca-busy/g)).toHaveLength(3);
  });

  test("--watch cuts what would scroll away, trouble too, and counts it", async () => {
    const admin = await serve(
      well,
      Array.from({ length: 100 }, (_, at) => workload({ lastError: { code: "ca-busy", message: `reason ${at}` } })),
    );
    const { interrupt, io, shown } = testIo({
      window,
      env: { NO_COLOR: "1" },
      onOutput: (text) => text.includes("\u001b[J") && interrupt(),
    });
    await runStatus({ admin, interval: 1, watch: true }, io);
    const look = shown().split("\u001b[?1049l")[1] ?? "";
    expect(look.trimEnd().split("\n").length).toBeLessThan(24);
    const rows = look.match(/^ {2}failing /gm)?.length ?? 0;
    expect(rows).toBeGreaterThan(2);
    expect(look).toContain(
      `and ${100 - rows} more, ${100 - rows} of them in trouble; --errors and --namespace choose\n`,
    );
    expect(look).toContain("needs attention:\n  100 workloads failing\n");
  });

  test("--watch redraws in place, waits for an agent that is away, and leaves the last look", async () => {
    const admin = await serve(well, [workload()]);
    const { interrupt, io, shown } = testIo({ window });
    const running = runStatus({ admin, interval: 0.01, watch: true }, io);
    const looks = () => shown().split("\u001b[H").length - 1;
    await until("two looks", () => looks() >= 2, { every: 5 });
    stopOne();
    await until("a look without an agent", () => shown().includes("no agent answers at"), { every: 5 });
    interrupt();
    expect(await running).toBe(69);
    expect(shown().startsWith("\u001b[?1049h")).toBe(true);
    expect(shown().split("\u001b[?1049l")[1]).toMatch(/no agent answers at.*\n$/);
    // As many lines as the window has would make it scroll.
    expect(
      Math.max(
        ...shown()
          .split("\u001b[H")
          .map((look) => look.split("\r\n").length),
      ),
    ).toBeLessThan(24);
  });
});

test("--json is one document, with what needs attention and how each workload is", async () => {
  const { code, shown } = await status({ admin: await serve(troubled, inTrouble), json: true, errors: true });
  const { attention, status: raw, workloads } = JSON.parse(shown);
  expect(attention).toContain("1 workload expired");
  expect(raw).toEqual(JSON.parse(JSON.stringify(troubled)));
  expect(workloads.map(({ health, podName }: Record<string, string>) => `${podName} ${health}`)).toEqual([
    "pod-try failing",
    "pod-no refused",
    "pod-wait tokenless",
    "pod-late late",
    "pod-gone expired",
  ]);
  expect(code).toBe(1);
});

test("--watch --json is one document a line, also while the agent is away", async () => {
  const admin = await serve();
  const { interrupt, io, shown } = testIo();
  const running = runStatus({ admin, interval: 0.01, watch: true, json: true }, io);
  await until("a look", () => shown().includes("\n"), { every: 5 });
  stopOne();
  await until("an error", () => shown().includes("agent-unreachable"), { every: 5 });
  interrupt();
  expect(await running).toBe(69);
  for (const line of shown().trimEnd().split("\n")) JSON.parse(line);
});

test("what pods and CAs have a say in cannot move the cursor, forge a line or hide one", async () => {
  const named = workload({
    podName: hostile,
    serviceAccount: hostile,
    lastError: { code: "ca-busy", message: hostile },
  });
  const admin = await serve(
    {
      ...troubled,
      trustDomain: hostile,
      nodeName: hostile,
      notReady: hostile,
      counters: { ...well.counters, refusedStreams: { [hostile]: 1 } },
      ca: [{ ...troubled.ca[1], url: hostile, lastError: { code: "ca-busy", message: hostile } }],
      bundle: { ...well.bundle, roots: [{ subject: hostile, notAfter: iso(60), sha256: hostile }] },
    },
    [named],
  );
  for (const options of [{}, { window: { columns: 80, rows: 24 }, env: { NO_COLOR: "1" } }]) {
    const { shown } = await status({ admin }, options);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(shown).not.toMatch(/^ *ok +all is well/m);
  }
});

describe("nobody to ask", () => {
  test.each([
    ["nobody listens", async () => "127.0.0.1:1", /no agent answers at 127\.0\.0\.1:1: nobody listens there/],
    ["not JSON", async () => serveText("<html>"), /no agent of this version: \/v1\/status is not JSON/],
    ["another program", () => serve({ hello: 1 }), /no agent of this version: \/v1\/status: version/],
    [
      "a time that is none",
      () => serve({ ...well, startedAt: "yesterday" }),
      /no agent of this version: \/v1\/status: startedAt: a time in RFC 3339/,
    ],
    ["an older agent", async () => serveText("{}", 404), /\/v1\/status answers 404/],
    ["an answer cut short", async () => serveText("x", 200, 100), /no agent answers/],
  ])("%s", async (_how, prepare, message) => {
    const admin = await prepare();
    await expect(status({ admin })).rejects.toMatchObject({
      code: "agent-unreachable",
      message: expect.stringMatching(message),
    });
  });

  test.each([
    [{ admin: "here" }, /admin \(--admin\): "here" is no address/],
    [{ admin: "off" }, /--admin: the agent's admin routes are off/],
    [{ config: "/nowhere.jsonc" }, /--config: \/nowhere.jsonc cannot be read/],
  ])("%o", async (flags, message) => {
    await expect(status(flags)).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringMatching(message),
    });
  });
});
