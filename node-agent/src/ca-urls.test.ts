import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseConfig } from "./config.ts";
import { gatherSettings } from "./sources.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "signet-urls-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Given {
  readonly flag?: string;
  /** Value of `caUrl` in the file. */
  readonly file?: unknown;
  readonly env?: Record<string, string>;
}

function read({ flag, file, env = {} }: Given) {
  const path = join(folder, "agent.json");
  if (file !== undefined) writeFileSync(path, JSON.stringify({ caUrl: file }));
  const flags = { trustDomain: "cluster.local", ...(flag !== undefined && { caUrl: flag }) };
  const { given, faults } = gatherSettings({ flags, env, file: file === undefined ? undefined : path });
  return parseConfig(given, faults, env);
}

function faultsOf(given: Given): string[] {
  try {
    read(given);
    return [];
  } catch (error) {
    return String(error)
      .split("\n")
      .filter((line) => line.startsWith("  - "));
  }
}

const hrefs = (given: Given) => read(given).caUrls.map(({ href }) => href);

test.each<{ given: Given; urls: string[] }>([
  { given: { flag: "https://a.test" }, urls: ["https://a.test/"] },
  { given: { flag: "https://b.test, https://a.test/ca" }, urls: ["https://b.test/", "https://a.test/ca"] },
  { given: { file: "https://a.test,https://b.test" }, urls: ["https://a.test/", "https://b.test/"] },
  { given: { file: ["https://a.test", "http://127.0.0.1:1"] }, urls: ["https://a.test/", "http://127.0.0.1:1/"] },
  { given: { env: { SIGNET_CA_URL: "https://c.test,https://d.test" } }, urls: ["https://c.test/", "https://d.test/"] },
])("$given gives $urls, in that order", ({ given, urls }) => {
  expect(hrefs(given)).toEqual(urls);
});

test("each URL that is wrong is a fault of its own", () => {
  const flag =
    "http://a.test,https://b.test,ftp,https://user:geheim@c.test,https://b.test/,,https://d.test/?x,https://u:geheim@:x";
  const faults = faultsOf({ flag });
  expect(faults).toEqual([
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): http:\/\/a\.test is not safe/),
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): "ftp" is no URL/),
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): a URL with a user or password/),
    "  - caUrl (--ca-url): https://b.test/ stands twice",
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): "" is no URL/),
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): a URL with \? or #/),
    expect.stringMatching(/^ {2}- caUrl \(--ca-url\): it is no URL/),
  ]);
  expect(faults.join()).not.toContain("geheim");
});

test.each([{ file: [] }, { file: ["https://a.test", 7] }, { file: { url: "https://a.test" } }])(
  "$file in the file is a fault",
  ({ file }) => {
    expect(() => read({ file })).toThrow(/caUrl \(.*agent\.json\): a string is expected/);
  },
);

test("a URL that is asked through a proxy goes with it; a wrong proxy is one fault", () => {
  const env = { HTTPS_PROXY: "http://proxy.test:3128", NO_PROXY: "b.test" };
  const { caUrls, proxies } = read({ flag: "https://a.test,https://b.test,https://c.test", env });
  expect(caUrls.map((url) => proxies.get(url)?.host)).toEqual(["proxy.test:3128", undefined, "proxy.test:3128"]);
  const wrong = { HTTPS_PROXY: "ftp://signet:geheim@proxy.test" };
  expect(faultsOf({ flag: "https://a.test,https://b.test", env: wrong })).toEqual([
    "  - HTTPS_PROXY: a proxy of the kind ftp:// is not supported; http:// and https:// are",
  ]);
});

test("variables that name proxies are no settings of the agent", () => {
  const env = {
    HTTPS_PROXY: "http://p",
    https_proxy: "http://p",
    NO_PROXY: "x",
    no_proxy: "x",
    HTTP_PROXY: "http://p",
  };
  expect(gatherSettings({ flags: {}, env, file: undefined })).toEqual({ given: {}, faults: [] });
});
