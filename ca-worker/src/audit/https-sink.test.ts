import type { IncomingHttpHeaders } from "node:http";
import { SignetError } from "@signet/shared/errors";
import { afterEach, describe, expect, test } from "vitest";
import { startHttp } from "../../../test/support/listening.ts";
import type { TextSource } from "../text-source.ts";
import type { AuditEvent } from "./event.ts";
import { httpsSink } from "./https-sink.ts";

const event = (requestId: string): AuditEvent => ({
  ...{ event: "refused", time: "2026-11-24T12:00:00.000Z", requestId, code: "token-missing" },
  reason: "the request has no bearer token",
});

interface Got {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

/** A receiver that answers with these statuses, the last one again and again; 0 for no answer at all. */
async function receiver(...statuses: number[]) {
  const got: Got[] = [];
  const { url, stop } = await startHttp((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      got.push({ method: request.method, url: request.url, headers: request.headers, body });
      const status = statuses[Math.min(got.length, statuses.length) - 1] ?? 204;
      if (status !== 0) response.writeHead(status, { location: "https://elsewhere.example/" }).end("said at length");
    });
  });
  endings.push(stop);
  return { url: `${url}/logs/signet?source=ca`, got };
}

function sinkTo(url: string, authorization?: TextSource, time = { now: 1_000 }) {
  const options = { url, authorization, timeoutSeconds: 0.2, fetch, clock: () => time.now };
  return httpsSink(options);
}

describe("the https sink", () => {
  test("posts events as lines of JSON, with what is kept as authorization", async () => {
    const { url, got } = await receiver(204);
    await sinkTo(url, { read: () => "Bearer siem-token\n" }).send([event("a"), event("b")]);
    const [{ method, url: path, headers, body } = {} as Got] = got;
    expect({ method, path, type: headers["content-type"], authorization: headers.authorization }).toEqual({
      ...{ method: "POST", path: "/logs/signet?source=ca" },
      ...{ type: "application/x-ndjson", authorization: "Bearer siem-token" },
    });
    expect(body).toMatch(/^\{.*\}\n\{.*\}\n$/);
    expect(
      body
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([event("a"), event("b")]);
  });

  test("is called by its place without its query, which may be a secret", () => {
    expect(sinkTo("https://siem.example/in?key=abc").name).toBe("https://siem.example/in");
  });

  test.each([
    { answer: 500, again: true },
    { answer: 429, again: true },
    { answer: 401, again: true },
    { answer: 302, again: true },
    { answer: 404, again: true },
    { answer: 400, again: false },
    { answer: 413, again: false },
  ])("$answer is a failure; worth trying again: $again", async ({ answer, again }) => {
    const { url, got } = await receiver(answer);
    await expect(sinkTo(url).send([event("a")])).rejects.toMatchObject({
      name: "SignetError",
      message: expect.stringContaining(String(answer)),
      retryAfterSeconds: again ? 5 : undefined,
    });
    expect(got).toHaveLength(1);
  });

  test("no answer in time is a failure, and so is nobody there", async () => {
    const { url } = await receiver(0);
    const silent = sinkTo(url).send([event("a")]);
    await expect(silent).rejects.toMatchObject({
      message: expect.stringContaining("TimeoutError"),
      retryAfterSeconds: 5,
    });
    const nobody = sinkTo("http://127.0.0.1:1/").send([event("a")]);
    await expect(nobody).rejects.toMatchObject({ name: "SignetError", retryAfterSeconds: 5 });
  });

  test("the authorization is read again after half a minute, and at once when it was refused", async () => {
    const { url, got } = await receiver(204, 204, 401, 204);
    const time = { now: 1_000 };
    let secret = "one";
    const sink = sinkTo(url, { read: () => secret }, time);
    const next = async () => {
      await sink.send([event("a")]).catch(() => {});
      return got.at(-1)?.headers.authorization;
    };
    expect(await next()).toBe("one");
    secret = "two";
    expect(await next()).toBe("one");
    expect(await next()).toBe("one");
    expect(await next()).toBe("two");
    secret = "three";
    time.now += 31;
    expect(await next()).toBe("three");
  });

  test("events wait for an authorization that could never be read, rather than being lost", async () => {
    const { url, got } = await receiver(204);
    const sink = sinkTo(url, { read: () => Promise.reject(new SignetError("source-unavailable", "cannot be read")) });
    await expect(sink.send([event("a")])).rejects.toMatchObject({
      ...{ name: "SignetError", retryAfterSeconds: 5, message: expect.stringContaining("cannot be read") },
    });
    expect(got).toEqual([]);
  });

  test.each(["", "two\nlines", "gr\u00fc\u00df", "\u0000"])(
    "an authorization that is no header value is never quoted: %j",
    async (kept) => {
      const { url, got } = await receiver(204);
      const sink = sinkTo(url, { read: () => `${kept}` });
      const error = await sink.send([event("a")]).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        name: "SignetError",
        message: expect.stringMatching(/one line of printable ASCII/),
      });
      if (kept !== "") expect(String(error)).not.toContain(kept);
      expect(got).toEqual([]);
    },
  );
});
