import { expect, test } from "vitest";
import { renderTable } from "./table.ts";
import { coloured, plain } from "./terminal.ts";

const columns = [
  { title: "POD", shrinksTo: 5 },
  { title: "STREAMS", align: "right" as const },
  { title: "ERROR", shrinksTo: 6 },
];
const rows = [
  [{ text: "sleep-1" }, { text: "2" }, { text: "" }],
  [{ text: "checkout-22" }, { text: "10", tone: "bad" as const }, { text: "the CA does not answer" }],
];

test("columns are as wide as their contents where there is room", () => {
  expect(renderTable(columns, rows, 200, plain)).toEqual([
    "POD          STREAMS  ERROR",
    "sleep-1            2",
    "checkout-22       10  the CA does not answer",
  ]);
});

test("the last column gives way first, then those before it, none below its least", () => {
  expect(renderTable(columns, rows, 36, plain)).toEqual([
    "POD          STREAMS  ERROR",
    "sleep-1            2",
    "checkout-22       10  the CA does n…",
  ]);
  expect(renderTable(columns, rows, 10, plain)).toEqual([
    "POD    STREAMS  ERROR",
    "slee…        2",
    "chec…       10  the C…",
  ]);
});

test("colours take no room", () => {
  const [, , painted] = renderTable(columns, rows, 36, coloured);
  expect(painted).toBe("checkout-22       \u001b[31m10\u001b[0m  the CA does n…");
});
