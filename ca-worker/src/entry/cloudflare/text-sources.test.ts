import { describe, expect, test } from "vitest";
import { openText } from "./text-sources.ts";

const read = async (env: Record<string, unknown>, location: string) => openText(env, location)?.read();
const fault = (text: string) =>
  expect.objectContaining({ code: "source-unavailable", message: expect.stringContaining(text) });

describe("texts of a Worker", () => {
  test("are its secrets, looked up each time", async () => {
    expect(await read({ A: "text" }, "env:A")).toBe("text");
    await expect(read({}, "env:A")).rejects.toEqual(fault("there is no secret or variable A"));
    await expect(read({ A: { get() {} } }, "env:A")).rejects.toEqual(fault("there is no secret or variable A"));
  });

  test("are entries of its KV namespaces, which KV itself reads again after 30 s at most", async () => {
    const asked: unknown[] = [];
    const get = async (...arguments_: unknown[]) => {
      asked.push(arguments_);
      return "text";
    };
    expect(await read({ KV: { get } }, "kv:KV/a/b.json")).toBe("text");
    expect(asked).toEqual([["a/b.json", { type: "text", cacheTtl: 30 }]]);
  });

  test("that are not there, or cannot be read, are unavailable, without what KV says", async () => {
    await expect(read({ KV: { get: async () => null } }, "kv:KV/a")).rejects.toEqual(
      fault("kv:KV/a: there is no such key"),
    );
    const failing = { KV: { get: () => Promise.reject(new Error("secret")) } };
    await expect(read(failing, "kv:KV/a")).rejects.toEqual(fault("kv:KV/a cannot be read"));
    await expect(read(failing, "kv:KV/a")).rejects.not.toEqual(fault("secret"));
  });

  test.each(["kv:OTHER/a", "kv:TEXT/a", "file:a.json", "kubernetes:a/b", "aws-secretsmanager:a"])(
    "%s is none that the Worker has",
    (location) => {
      expect(openText({ TEXT: "text" }, location)).toBeUndefined();
    },
  );
});
