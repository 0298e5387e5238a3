import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAgent } from "../support/agent-process.ts";
import { Chromium, findChromium, type Page } from "../support/chromium.ts";
import { faintTexts } from "../support/faint-texts.ts";
import { until } from "../support/poll.ts";
import { freePort } from "../support/ports.ts";
import { ensureBuilt, repoRoot } from "../support/repo.ts";
import type { Pod } from "../support/scripted-ca.ts";
import { makeWorkFolder } from "../support/work-folder.ts";
import { SdsClient, type SdsStreamClient } from "./sds-client.ts";
import { makePod, serialOf, World } from "./world.ts";

const chromiumPath = findChromium();
// CI installs it; who works on something else need not have it.
const missing = chromiumPath === undefined && process.env.CI === undefined;
const pictures = join(repoRoot, ".cache/screenshots");
const wide = { width: 1280, height: 900 };

if (missing) console.warn("the page is not tested: there is no Chromium (Debian's package is called chromium)");

describe.skipIf(missing)("the page", () => {
  let chromium: Chromium;
  let world: World;
  let page: Page;
  let client: SdsClient;
  let answersOfNobody = 0;

  beforeAll(async () => {
    if (chromiumPath === undefined) throw new Error("there is no Chromium, which CI must have");
    mkdirSync(pictures, { recursive: true });
    chromium = await Chromium.launch(chromiumPath);
  });
  afterAll(() => chromium?.close());

  beforeEach(async () => {
    world = await World.start();
    client = world.client();
    answersOfNobody = 0;
  });
  afterEach(async () => {
    expect(page.problems.slice(answersOfNobody)).toEqual([]);
    const elsewhere = page.requested.filter((url) => !url.startsWith("data:") && new URL(url).hostname !== "127.0.0.1");
    expect(elsewhere).toEqual([]);
    await page.call("Page.close");
    await world.stop();
  });

  const open = async (viewport = wide) => {
    page = await chromium.open(`${world.agent.adminUrl}/`, viewport);
  };
  const attach = async (pod: Pod, from = client): Promise<SdsStreamClient> => {
    const stream = from.withToken(world.ca.token(pod, { lifetime: 86_400 })).request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    return stream;
  };

  test("says what to do while there is no workload", async () => {
    await open();
    const text = await page.untilText("#none", /No workload has asked/);
    expect(text).toContain(world.socket);
    expect(text).toContain("signet-agent doctor");
    await page.untilText("#health", /^Ready$/);
    await page.screenshot(join(pictures, "empty.png"));
  });

  test("shows who has a certificate, and shows a renewal by itself", async () => {
    const pod = makePod("sleep", "foo");
    const stream = await attach(pod);
    await open();
    const row = await page.untilText("#rows", /left/);
    for (const text of [
      pod.podName,
      "foo / sleep",
      "spiffe://cluster.local/ns/foo/sa/sleep",
      "Valid",
      "1 certificate",
    ]) {
      expect(row).toContain(text);
    }
    expect(row).toMatch(/(59 min \d+ s|1 h) left/);
    expect(row).toMatch(/renews in (29 min \d+ s|30 min)/);
    const ticking = await page.text("#rows .left");
    await until("the time left to go on", async () => (await page.text("#rows .left")) !== ticking);
    world.clock.advance(1_900);
    serialOf(await stream.next());
    await page.untilText("#rows", /2 certificates/);
    expect(await page.text("#rows .left")).toMatch(/^(59 min|1 h)/);
    expect(await page.text("#count")).toBe("1");
  });

  test("tells in words why a renewal fails, and when it goes again", async () => {
    const stream = await attach(makePod());
    await open();
    await page.untilText("#rows", /Valid/);
    world.ca.script = { status: 503, body: problem("cannot-sign", '<img src="https://elsewhere.test/x"><b>no</b>') };
    world.clock.advance(1_900);
    await page.untilText("#rows .state", /Renewal fails/);
    const state = await page.text("#rows .state");
    expect(state).toMatch(/The CA (is busy|cannot sign)/);
    expect(await page.text("#count")).toContain("1 needs attention");
    await page.untilText("#endpoints", /Failing/);
    await page.screenshot(join(pictures, "failing.png"));
    world.ca.script = "issue";
    world.clock.advance(40);
    await stream.next();
    await page.untilText("#rows .state", /^Valid$/);
    await page.untilText("#endpoints", /Healthy/);
  });

  test("shows what others wrote as text, never as markup", async () => {
    await attach(makePod());
    await open();
    await page.untilText("#rows", /Valid/);
    const markup = '<img src="https://elsewhere.test/x" onerror="document.title=1"><b>no</b>';
    world.ca.script = { status: 403, body: problem("identity-not-entitled", markup) };
    world.clock.advance(1_900);
    await page.untilText("#rows .state", /elsewhere/);
    expect(await page.text("#rows .state")).toContain(markup);
    expect(await page.evaluate("document.querySelectorAll('#rows img, #rows b').length")).toBe(0);
  });

  test("says so when the agent is gone, and goes on when it is back", async () => {
    const port = await freePort();
    const fixed = { admin: { value: `127.0.0.1:${port}`, source: "test" } };
    await world.agent.stop();
    await world.startAgent(fixed);
    await attach(makePod());
    await open();
    await page.untilText("#rows", /Valid/);
    await world.agent.stop();
    await page.untilText("#banner", /does not answer since/);
    expect(await page.text("#rows")).toContain("left");
    expect(await page.text("#health")).toBe("Gone");
    await page.screenshot(join(pictures, "gone.png"));
    await world.startAgent(fixed);
    await page.untilText("#none", /No workload has asked/);
    expect(await page.text("#banner")).toBe("");
    // The browser itself tells of each request that nobody answered.
    expect(page.problems.every((problem) => problem.includes("ERR_CONNECTION_REFUSED"))).toBe(true);
    answersOfNobody = page.problems.length;
  });

  test.each([
    { name: "dark", viewport: { ...wide, dark: true } },
    { name: "narrow", viewport: { width: 360, height: 900 } },
    { name: "narrow-dark", viewport: { width: 360, height: 900, dark: true } },
  ])("can be read: $name", async ({ name, viewport }) => {
    await Promise.all(
      [makePod("checkout", "shop"), makePod("reviews-with-a-long-name-of-its-own", "shop")].map((pod) => attach(pod)),
    );
    await open(viewport);
    await page.untilText("#rows", /reviews.*checkout|checkout.*reviews/s);
    world.ca.script = { status: 503 };
    world.clock.advance(1_900);
    await page.untilText("#rows", /Renewal fails.*Renewal fails/s);
    await page.screenshot(join(pictures, `${name}.png`), true);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await faintTexts(page)).toEqual([]);
    // However it is laid out, to a screen reader it is a table.
    const { nodes } = await page.call("Accessibility.getFullAXTree");
    const roles = (nodes as { role: { value: string } }[]).map(({ role }) => role.value);
    const count = (wanted: string) => roles.filter((role) => role === wanted).length;
    expect([count("table"), count("row"), count("rowheader"), count("columnheader"), count("cell")]).toEqual([
      1, 3, 2, 5, 8,
    ]);
  });

  test("is in the bundled program, too", async () => {
    await ensureBuilt();
    const folder = await makeWorkFolder("page");
    const nodeToken = join(folder.path, "token");
    await writeFile(nodeToken, world.ca.token(makePod()));
    const agent = await startAgent({ folder: folder.path, caUrl: world.ca.url, nodeToken });
    try {
      page = await chromium.open(agent.adminUrl, wide);
      await page.untilText("#none", /No workload has asked/);
      const bundled = new SdsClient(agent.socket);
      const stream = bundled.withToken(world.ca.token(makePod("sleep", "foo"))).request({ names: ["default"] });
      await stream.nextAcked(["default"]);
      await page.untilText("#rows", /sleep.*59 min.*Valid/s);
      bundled.close();
    } finally {
      await page.call("Page.navigate", { url: "about:blank" });
      await agent.stop();
      await folder.remove();
    }
  });

  test("stays quick with 1,000 workloads, and touches only the rows that change", async () => {
    const pods = Array.from({ length: 1_000 }, (_, at) => makePod(`account-${at % 40}`, `team-${at % 12}`));
    // Few of them by one connection, as from real pods: more at once are turned away.
    for (let at = 0; at < pods.length; at += 100) {
      const clients = Array.from({ length: 20 }, () => world.client());
      await Promise.all(pods.slice(at, at + 100).map((pod, nth) => attach(pod, clients[nth % 20])));
    }
    await open();
    await page.untilText("#count", /^1,000$/);
    await page.screenshot(join(pictures, "thousand.png"));
    await page.press("/");
    expect(await page.evaluate("document.activeElement.id")).toBe("search");
    const last = pods.at(-1);
    await page.call("Input.insertText", { text: `${last?.podName} ${last?.namespace}` });
    await page.untilText("#count", /^1 of 1,000$/);
    await page.press("Escape");
    await page.untilText("#count", /^1,000$/);
    await page.evaluate(`new MutationObserver((seen) => {
      window.touched ??= new Set();
      for (const { target } of seen) window.touched.add(target.closest?.("tr") ?? target.parentElement?.closest("tr"));
    }).observe(document.querySelector("#rows"), { childList: true, subtree: true, characterData: true })`);
    await attach(makePod("newcomer", "team-1"));
    await page.untilText("#count", /^1,001$/);
    // Those in sight go with the time; the others are left alone.
    expect(await page.evaluate<number>("window.touched.size")).toBeLessThan(60);
  });
});

function problem(code: string, title: string): string {
  return JSON.stringify({ type: `urn:signet:problem:${code}`, title, status: 503, requestId: "request-1" });
}
