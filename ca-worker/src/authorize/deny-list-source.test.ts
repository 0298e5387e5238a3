import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { makeLogger } from "../../../test/support/test-logger.ts";
import { DenyListSource } from "./deny-list-source.ts";

const start = 1_800_000_000;
const listOf = (...podUids: string[]) => JSON.stringify({ podUids });
const down = new SignetError("source-unavailable", "there is nothing");

/** A list whose place and clock the test sets. */
function bench(content: string | Error) {
  const state: { now: number; content: string | Error; reads: number } = { now: start, content, reads: 0 };
  const logger = makeLogger();
  const source = new DenyListSource({
    name: "file:deny.json",
    clock: () => state.now,
    logger,
    text: {
      async read() {
        state.reads++;
        if (typeof state.content !== "string") throw state.content;
        return state.content;
      },
    },
  });
  const pods = async () => [...(await source.current()).podUids];
  return { state, logger, source, pods };
}

describe("a deny list that is kept elsewhere", () => {
  test("is read once in 30 s, and then gives what is new", async () => {
    const { state, logger, pods } = bench(listOf("a"));
    expect(await pods()).toEqual(["a"]);
    state.content = listOf("a", "b");
    state.now = start + 29;
    expect(await pods()).toEqual(["a"]);
    expect(state.reads).toBe(1);
    state.now = start + 30;
    expect(await pods()).toEqual(["a", "b"]);
    expect(state.reads).toBe(2);
    // What has not changed is not told.
    state.now = start + 60;
    await pods();
    expect(state.reads).toBe(3);
    expect(logger.lines.map(({ entries }) => entries)).toEqual([1, 2]);
  });

  test("is read again after the clock was set back, which must not freeze it", async () => {
    const { state, pods } = bench(listOf("a"));
    await pods();
    state.content = listOf("b");
    state.now = start - 86_400;
    expect(await pods()).toEqual(["b"]);
    await pods();
    expect(state.reads).toBe(2);
  });

  test("needs no promise while it is at hand", async () => {
    const { source, pods } = bench(listOf("a"));
    await pods();
    expect(source.current()).not.toBeInstanceOf(Promise);
  });

  test.each([
    { fault: "cannot be read", content: down },
    { fault: "is no deny list", content: '{"podUid": []}' },
    { fault: "is empty", content: "" },
  ])("goes on denying when it $fault, and is tried every 5 s", async ({ content }) => {
    const { state, logger, pods } = bench(listOf("a"));
    await pods();
    state.content = content;
    for (const [after, reads] of [
      [30, 2],
      [34, 2],
      [35, 3],
      [3_600, 4],
      [3_604, 4],
    ] as const) {
      state.now = start + after;
      expect(await pods()).toEqual(["a"]);
      expect({ after, reads: state.reads }).toEqual({ after, reads });
    }
    const told = logger.lines.filter(({ level }) => level === "error");
    expect(told).toMatchObject([{ event: "deny-list", denyList: "file:deny.json", stale: true }]);

    state.content = listOf("a");
    state.now = start + 4_000;
    await pods();
    expect(logger.lines.at(-1)).toMatchObject({ level: "info", event: "deny-list", entries: 1 });
  });

  test.each([
    { fault: "cannot be read", content: down },
    { fault: "is no deny list", content: "[]" },
  ])("that $fault from the start lets nothing be signed, until it is there", async ({ content }) => {
    const { state, pods } = bench(content);
    const refused = { code: "cannot-sign", retryAfterSeconds: 5 };
    await expect(pods()).rejects.toMatchObject(refused);
    state.now = start + 4;
    await expect(pods()).rejects.toMatchObject(refused);
    expect(state.reads).toBe(1);
    state.content = listOf("a");
    state.now = start + 5;
    expect(await pods()).toEqual(["a"]);
  });

  test("is waited for by one request, while the others go by the one at hand", async () => {
    const { state, source, pods } = bench(listOf("a"));
    await pods();
    state.content = listOf("b");
    state.now = start + 34;
    const reading = source.current();
    expect(reading).toBeInstanceOf(Promise);
    expect(source.current()).not.toBeInstanceOf(Promise);
    expect([...(await reading).podUids]).toEqual(["b"]);
  });

  test.each([35, 3_600])("is waited for by all after %i quiet seconds: nobody goes by one that old", async (quiet) => {
    const { state, source, pods } = bench(listOf("a"));
    await pods();
    state.content = listOf("b");
    state.now = start + quiet;
    const lists = await Promise.all([source.current(), source.current()]);
    expect(lists.map(({ podUids }) => [...podUids])).toEqual([["b"], ["b"]]);
  });

  test("tells when it was read, and how many are on it", async () => {
    const { state, source, pods } = bench(JSON.stringify({ podUids: ["a"], nodeUids: ["b", "c"] }));
    expect(source).toMatchObject({ name: "file:deny.json", loadedAt: undefined, entries: 0 });
    state.now = start + 7;
    await pods();
    expect(source).toMatchObject({ loadedAt: start + 7, entries: 3 });
  });
});
