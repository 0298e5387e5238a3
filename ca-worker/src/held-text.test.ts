import { describe, expect, test } from "vitest";
import { heldText } from "./held-text.ts";

function bench() {
  const state = { now: 1_000, kept: "one\n" as string | Error };
  const read = async () => {
    if (state.kept instanceof Error) throw state.kept;
    return state.kept;
  };
  const requireWord = (text: string) => {
    if (!/^\w+$/.test(text)) throw new Error("no word");
  };
  return { state, held: heldText({ read }, () => state.now, requireWord) };
}

describe("a held text", () => {
  test("is read again after 30 s, and at once when it was dropped", async () => {
    const { state, held } = bench();
    expect(await held.read()).toBe("one");
    state.kept = "two";
    state.now += 30;
    expect(await held.read()).toBe("one");
    state.now += 0.001;
    expect(await held.read()).toBe("two");
    state.kept = "three";
    held.drop();
    expect(await held.read()).toBe("three");
  });

  test("is read again after the clock was set back, which must not freeze it", async () => {
    const { state, held } = bench();
    await held.read();
    state.kept = "two";
    state.now -= 31;
    expect(await held.read()).toBe("two");
  });

  test("is not the one that was dropped while its place is read, and cannot be", async () => {
    const { state, held } = bench();
    await held.read();
    state.kept = new Error("gone");
    state.now += 31;
    const reading = held.read();
    held.drop();
    await expect(reading).rejects.toThrow("gone");
  });

  test.each([new Error("gone"), "two words"])("goes on counting while its place has %s", async (kept) => {
    const { state, held } = bench();
    await held.read();
    state.kept = kept;
    state.now += 31;
    expect(await held.read()).toBe("one");
    state.kept = "two";
    state.now += 31;
    expect(await held.read()).toBe("two");
  });

  test.each([
    { kept: new Error("gone"), says: "gone" },
    { kept: "two words", says: "no word" },
  ])("is none where the first is none: $says", async ({ kept, says }) => {
    const { state, held } = bench();
    state.kept = kept;
    await expect(held.read()).rejects.toThrow(says);
    state.kept = "one";
    expect(await held.read()).toBe("one");
  });
});
