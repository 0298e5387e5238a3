import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Event, events, type State, states, step } from "./life.ts";

const source = readFileSync(new URL("life.ts", import.meta.url), "utf8");
const cells = (line: string) => (line.match(/(?<=\|)[^|]*/g) ?? []).map((cell) => cell.trim());
const rows = source
  .split("\n")
  .filter((line) => /^ \* \| [a-z]/.test(line) && !line.includes("| state"))
  .map(cells);
const pairs = states.flatMap((state) => events.map((event) => ({ state, event })));

function told(state: State, event: Event) {
  if (state === "gone") return { next: "gone", effects: [] };
  if (event === "stopped") return { next: "gone", effects: ["cease"] };
  const found = rows.filter(([ofState, ofEvent]) => ofState === state && ofEvent === event);
  expect(found.length).toBeLessThanOrEqual(1);
  const [, , next, does] = found[0] ?? [state, event, state, ""];
  return { next, effects: does === "" ? [] : does?.split(", ") };
}

test("the table has rows, and only of states and events that there are", () => {
  expect(rows).toHaveLength(24);
  for (const [state, event, next] of rows) {
    expect(states).toContain(state);
    expect(states).toContain(next);
    expect(events).toContain(event);
  }
});

test.each(pairs)("$state and $event: as the table in the docstring says", ({ state, event }) => {
  expect(step(state, event)).toEqual(told(state, event));
});

test("a request is sent only where none is out", () => {
  for (const { state, event } of pairs) {
    if (step(state, event).effects.includes("ask")) expect(["asking", "landing", "gone"]).not.toContain(state);
  }
});

test("a request goes out whenever asking is entered, but where one is out already", () => {
  for (const { state, event } of pairs) {
    const { next, effects } = step(state, event);
    if (next === "asking" && state !== "asking") expect(effects.includes("ask")).toBe(state !== "landing");
  }
});

test("from every state that waits for time, time leads on", () => {
  for (const state of ["held", "landing", "retrying", "refused", "tokenless"] as const) {
    expect(step(state, "due").next).toBe("asking");
  }
});

test("a certificate that is there is taken in every state but the last", () => {
  for (const state of states) {
    expect(step(state, "given").effects).toEqual(state === "gone" ? [] : ["take"]);
  }
});
