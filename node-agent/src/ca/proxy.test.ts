import { expect, test } from "vitest";
import { proxyFor, shownProxy } from "./proxy.ts";

const ask = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.href;
const proxy = "http://proxy.test:3128/";

test.each([
  { why: "by the variable", env: { HTTPS_PROXY: "http://proxy.test:3128" } },
  { why: "by the one in small letters first", env: { https_proxy: proxy, HTTPS_PROXY: "http://other.test" } },
  { why: "without a scheme", env: { HTTPS_PROXY: "proxy.test:3128" } },
  { why: "with an empty variable beside", env: { https_proxy: "", HTTPS_PROXY: proxy, NO_PROXY: "" } },
  { why: "with others exempt", env: { HTTPS_PROXY: proxy, NO_PROXY: "test,example.org, 10.0.0.0/8,a.example.com" } },
  { why: "with another port exempt", env: { HTTPS_PROXY: proxy, NO_PROXY: "ca.example.com:8443" } },
  { why: "with only what is below exempt", env: { HTTPS_PROXY: proxy, NO_PROXY: ".ca.example.com" } },
])("a proxy is taken $why", ({ env }) => {
  expect(ask("https://ca.example.com", env)).toBe(proxy);
});

test.each([
  { why: "none is named", url: "https://ca.example.com", env: {} },
  { why: "it is for plain http", url: "https://ca.example.com", env: { HTTP_PROXY: proxy } },
  { why: "the URL is this machine", url: "https://127.0.0.1:8443", env: { HTTPS_PROXY: proxy } },
  { why: "the URL is localhost", url: "https://localhost", env: { HTTPS_PROXY: proxy } },
  { why: "the URL is plain http", url: "http://127.0.0.1", env: { HTTPS_PROXY: proxy, HTTP_PROXY: proxy } },
  ...[
    { url: "https://ca.example.com", entry: "*" },
    { url: "https://ca.example.com", entry: "ca.example.com" },
    { url: "https://ca.example.com", entry: "CA.EXAMPLE.COM" },
    { url: "https://ca.example.com", entry: "other.test, example.com" },
    { url: "https://ca.example.com", entry: ".example.com" },
    { url: "https://ca.example.com", entry: "*.example.com" },
    { url: "https://ca.example.com", entry: "ca.example.com:443" },
    { url: "https://ca.example.com:8443", entry: "example.com:8443" },
    { url: "https://10.96.0.7", entry: "10.96.0.0/12" },
    { url: "https://10.96.0.7", entry: "10.96.0.7" },
    { url: "https://10.96.0.7:8443", entry: "10.96.0.7:8443" },
    { url: "https://[fd00::7]", entry: "fd00::/8" },
    { url: "https://[fd00::7]", entry: "fd00::7" },
    { url: "https://[fd00::7]:8443", entry: "[fd00::7]:8443" },
  ].map(({ url, entry }) => ({
    why: `${url} is exempt by ${entry}`,
    url,
    env: { HTTPS_PROXY: proxy, NO_PROXY: entry },
  })),
  { why: "small letters go first", url: "https://ca.test", env: { HTTPS_PROXY: proxy, no_proxy: "*", NO_PROXY: "x" } },
])("no proxy is taken where $why", ({ url, env }) => {
  expect(ask(url, env)).toBeUndefined();
});

test.each(["10.96.0.0/33", "10.0.0.0/12", "10.96.0.7:8443", "10.96.0.70", "10.96.0", "fd00::/8"])(
  "10.96.0.7 is not exempt by %s",
  (entry) => {
    expect(ask("https://10.96.0.7", { HTTPS_PROXY: proxy, NO_PROXY: entry })).toBe(proxy);
  },
);

test.each([
  { value: "http://user:geheim@proxy.test:99999", says: "no URL" },
  { value: "socks5://user:geheim@proxy.test", says: "socks5:// is not supported" },
  { value: "http://user:geheim%zz@proxy.test", says: "not well encoded" },
])("a variable that names none is told without its value: $says", ({ value, says }) => {
  const ask = () => proxyFor(new URL("https://ca.example.com"), { HTTPS_PROXY: value });
  expect(ask).toThrow(/^HTTPS_PROXY: /);
  expect(ask).toThrow(says);
  expect(ask).not.toThrow("geheim");
});

test("an IPv6 address of the CA is not asked for through a proxy", () => {
  expect(() => ask("https://[fd00::7]", { HTTPS_PROXY: proxy })).toThrow("HTTPS_PROXY: an IPv6 address");
});

test("a proxy is shown without its user", () => {
  expect(shownProxy(new URL("http://user:geheim@proxy.test:3128"))).toBe("http://proxy.test:3128");
});
