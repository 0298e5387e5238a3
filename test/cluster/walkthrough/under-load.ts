import { expect } from "vitest";
import { troublesOf } from "../envoy-in-pod.ts";
import { Load } from "../load.ts";
import { say } from "../shell.ts";
import { urls } from "./names.ts";

const clients = ["foo", "bar"];
const troubles = async () => await Promise.all(clients.map(troublesOf));

/**
 * Runs `during` under requests from sleep.foo and sleep.bar to both httpbins; every one of them must succeed.
 * @param retries whether the sidecars may have had to send a request again, because a server went away
 */
export async function underLoad(
  during: (more: (count: number) => Promise<void>) => Promise<void>,
  { retries = false } = {},
): Promise<void> {
  const before = await troubles();
  const loads = await Promise.all(clients.map((namespace) => Load.start({ namespace, urls })));
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
  // An Envoy that tries again could hide that a certificate was refused.
  if (!retries) expect(await troubles()).toEqual(before);
}
