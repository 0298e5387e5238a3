import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

test("lets so many out at once, then the urgent first, then first come", async () => {
  const turns = new Turns(1);
  await turns.take(false);
  const order: string[] = [];
  const waiting = [
    turns.take(false).then(() => order.push("first")),
    turns.take(false).then(() => order.push("second")),
    turns.take(true).then(() => order.push("urgent")),
  ];
  for (const _ of waiting) {
    turns.give();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(order).toEqual(["urgent", "first", "second"]);
  turns.give();
  await turns.take(false);
});
