import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "@signet/ca/openapi/document";
import { problemKinds } from "@signet/ca/respond/problem";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { caConfig } from "../support/ca-config.ts";
import { type RunningCa, startCaProcess } from "../support/ca-process.ts";
import { Chromium, findChromium, type Page } from "../support/chromium.ts";
import { faintTexts } from "../support/faint-texts.ts";
import { ensureBuilt, repoRoot } from "../support/repo.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

const chromiumPath = findChromium();
// CI installs it; who works on something else need not have it.
const missing = chromiumPath === undefined && process.env.CI === undefined;
const pictures = join(repoRoot, ".cache/screenshots");

if (missing)
  console.warn("/docs is not tested in a browser: there is no Chromium (Debian's package is called chromium)");

let folder: WorkFolder;
let ca: RunningCa;
beforeAll(async () => {
  await ensureBuilt();
  folder = await makeWorkFolder("docs");
  ca = await startCaProcess({
    folder: folder.path,
    config: caConfig({ keys: (await TokenIssuer.create()).jwks }),
  });
});
afterAll(async () => {
  await ca?.stop();
  await folder.remove();
});

test("the page may do nothing but show itself", async () => {
  const response = await fetch(`${ca.url}/docs`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("content-security-policy")).toMatch(
    /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  );
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  const text = await response.text();
  expect(text).not.toMatch(/<script|\son[a-z]+=|\sstyle=|javascript:/i);
  // What it links to is in it, or is the document itself.
  const links = [...text.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link ?? "");
  expect(links.filter((link) => !/^(?:#|data:image\/svg)/.test(link))).toEqual(["openapi.json"]);
  const ids = new Set([...text.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id));
  expect(links.filter((link) => link.startsWith("#") && !ids.has(link.slice(1)))).toEqual([]);
});

describe.skipIf(missing)("the page in a browser", () => {
  let chromium: Chromium;
  let page: Page;
  beforeAll(async () => {
    if (chromiumPath === undefined) throw new Error("there is no Chromium, which CI must have");
    mkdirSync(pictures, { recursive: true });
    chromium = await Chromium.launch(chromiumPath);
  });
  afterAll(() => chromium?.close());
  afterEach(async () => {
    expect(page.problems).toEqual([]);
    expect(page.requested.filter((url) => !url.startsWith("data:"))).toEqual([`${ca.url}/docs`]);
    await page.call("Page.close");
  });

  const wide = { width: 1280, height: 1000 };
  test.each([
    { name: "light", viewport: wide },
    { name: "dark", viewport: { ...wide, dark: true } },
    { name: "narrow", viewport: { width: 360, height: 900 } },
  ])("can be read: $name", async ({ name, viewport }) => {
    page = await chromium.open(`${ca.url}/docs`, viewport);
    await page.untilText("h1", /Signet CA API/);
    await page.screenshot(join(pictures, `docs-${name}.png`));
    await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await faintTexts(page)).toEqual([]);
    const text = await page.text("main");
    const { paths, components } = openApiDocument({ nodeBinding: "on" });
    for (const path of Object.keys(paths)) expect(text).toContain(path);
    for (const code of Object.keys(problemKinds)) expect(text).toContain(code);
    for (const schema of Object.keys(components.schemas)) expect(text).toContain(schema);
    expect(text).toContain('curl --silent --show-error --fail-with-body "$CA/v1/certificates"');
    expect(text).toContain("signet-node-token: $(cat agent.token)");
  });

  test("opens what is asked for without a script", async () => {
    page = await chromium.open(`${ca.url}/docs`, wide);
    await page.untilText("#issueCertificate", /Issue a certificate/);
    await page.call("Emulation.setScriptExecutionDisabled", { value: true });
    expect(await page.text("#issueCertificate .answer pre")).toBe("");
    const summary = await page.evaluate<{ x: number; y: number }>(`(() => {
      const element = document.querySelector("#issueCertificate .answer summary");
      element.scrollIntoView({ block: "center" });
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await page.call("Input.dispatchMouseEvent", { type, ...summary, button: "left", clickCount: 1 });
    }
    await page.untilText("#issueCertificate .answer pre", /BEGIN CERTIFICATE/);
  });
});
