import { describe, expect, test } from "vitest";
import { isLoopbackHost } from "./url.ts";

describe("loopback hosts", () => {
  test.each([
    "http://127.0.0.1:80",
    "http://127.255.255.254/",
    "http://localhost:8443",
    "http://[::1]:8443",
    // The URL parser makes 127.0.0.1 of these.
    "http://127.1",
    "http://0x7f000001",
    "http://LOCALHOST",
  ])("%s is one", (url) => {
    expect(isLoopbackHost(new URL(url).hostname)).toBe(true);
  });

  test.each([
    "http://128.0.0.1",
    "http://0.0.0.0",
    "http://[::]",
    "http://10.127.0.0",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://example.com/127.0.0.1",
    "http://127.0.0.1@example.com",
    "http://xlocalhost",
    "http://[::ffff:10.0.0.1]",
  ])("%s is none", (url) => {
    expect(isLoopbackHost(new URL(url).hostname)).toBe(false);
  });
});
