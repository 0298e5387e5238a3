import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Listening, startHttp } from "../../../../test/support/listening.ts";
import { fetchAfterThaw } from "./fetch.ts";

describe("a fetch after the function was frozen", () => {
  let server: Listening;
  let url: string;
  const connections = new Set<Socket>();
  const dead = new Set<Socket>();
  let bodies: string[] = [];
  beforeEach(async () => {
    server = await startHttp((request, response) => {
      // What a connection looks like that the other end, or the NAT between, has forgotten.
      if (dead.has(request.socket)) {
        request.socket.resetAndDestroy();
        return;
      }
      connections.add(request.socket);
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      request.on("end", () => {
        bodies.push(body);
        response.end("ok");
      });
    });
    url = `${server.url}/`;
  });
  afterEach(() => server.stop());
  /** Leaves the client with one connection, which is dead. */
  const freeze = async () => {
    await (await fetch(url)).text();
    // The client takes its connection back in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    for (const connection of connections) dead.add(connection);
    bodies = [];
  };

  test.each([{ method: "GET" }, { method: "POST", body: "an event" }])(
    "by $method takes a new connection",
    async (init) => {
      await freeze();
      await expect(fetch(url, init)).rejects.toThrow("fetch failed");
      await freeze();
      const again = fetchAfterThaw((input, more) => fetch(input, more));
      expect(await (await again(url, init)).text()).toBe("ok");
      expect(bodies).toEqual([init.body ?? ""]);
    },
  );

  test.each([
    { what: "a refused connection", error: new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } }) },
    {
      what: "a certificate that is not trusted",
      error: new TypeError("fetch failed", { cause: { code: "SELF_SIGNED" } }),
    },
    { what: "a time limit", error: new DOMException("late", "TimeoutError") },
  ])("is not made again for $what", async ({ error }) => {
    let asked = 0;
    const failing = fetchAfterThaw(async () => {
      asked++;
      throw error;
    });
    await expect(failing(url)).rejects.toBe(error);
    expect(asked).toBe(1);
  });

  test("is made again once only, and not for a body that is gone or a caller who is", async () => {
    let asked = 0;
    const reset = new TypeError("fetch failed", { cause: { code: "ECONNRESET" } });
    const failing = fetchAfterThaw(async () => {
      asked++;
      throw reset;
    });
    await expect(failing(url)).rejects.toBe(reset);
    expect(asked).toBe(2);
    await expect(failing(url, { method: "POST", body: new ReadableStream() })).rejects.toBe(reset);
    await expect(failing(url, { signal: AbortSignal.abort() })).rejects.toBe(reset);
    expect(asked).toBe(4);
  });
});
