import { expect } from "vitest";
import { Load } from "../load.ts";
import { say } from "../shell.ts";
import { urls } from "./names.ts";

/** Runs `during` under requests from sleep.foo and sleep.bar to both httpbins; every one of them must succeed. */
export async function underLoad(during: (more: (count: number) => Promise<void>) => Promise<void>): Promise<void> {
  const loads = await Promise.all(["foo", "bar"].map((namespace) => Load.start({ namespace, urls })));
  const more = async (count: number) => {
    await Promise.all(loads.map((load) => load.untilMore(count)));
  };
  try {
    await during(more);
    await more(20);
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
  const failures = loads.flatMap((load) => load.failures);
  say(`${loads.reduce((sum, { requests }) => sum + requests, 0)} requests, ${failures.length} failed`);
  expect(failures).toEqual([]);
}
