import type { LogFields, Logger } from "@signet/shared/deps";
import { expect, test } from "vitest";
import { limitedLog } from "./limited-log.ts";

function setUp() {
  const lines: { readonly level: string; readonly fields: LogFields }[] = [];
  const at = (level: string) => (fields: LogFields) => {
    lines.push({ level, fields });
  };
  const log: Logger = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  const clock = { now: 1_000 };
  return { lines, clock, limited: limitedLog(log, () => clock.now) };
}

test("fifty lines pass at once, then one a second, which says how many did not", () => {
  const { lines, clock, limited } = setUp();
  for (let n = 0; n < 60; n++) limited.warn({ n }, "x");
  expect(lines).toHaveLength(50);
  clock.now += 0.5;
  limited.warn({ n: 60 }, "x");
  expect(lines).toHaveLength(50);
  clock.now += 0.5;
  limited.info({ n: 61 }, "x");
  limited.info({ n: 62 }, "x");
  expect(lines.slice(50)).toEqual([{ level: "info", fields: { n: 61, linesLeftOut: 11 } }]);
  clock.now += 1;
  limited.warn({ n: 63 }, "x");
  expect(lines[51]?.fields).toEqual({ n: 63, linesLeftOut: 1 });
});

test("a quiet time saves up no more than fifty", () => {
  const { lines, clock, limited } = setUp();
  limited.warn({}, "x");
  clock.now += 100_000;
  for (let n = 0; n < 100; n++) limited.warn({}, "x");
  expect(lines).toHaveLength(51);
});

test("what has been said in full is not said to be left out", () => {
  const { lines, limited } = setUp();
  limited.warn({ pod: "foo/sleep" }, "x");
  expect(lines).toEqual([{ level: "warn", fields: { pod: "foo/sleep" } }]);
});

test("errors always pass", () => {
  const { lines, limited } = setUp();
  for (let n = 0; n < 60; n++) limited.error({}, "x");
  expect(lines).toHaveLength(60);
});
