import { Gauge, Registry } from "prom-client";
import { expect, test } from "vitest";
import { adminRoutes } from "./admin.ts";

test("metrics are written once for all who ask at the same time, and anew for those who come later", async () => {
  const registry = new Registry();
  let written = 0;
  new Gauge({ name: "a", help: "a", registers: [registry], collect: () => void written++ });
  const routes = adminRoutes(registry);
  const ask = async () => (await routes.request("/metrics")).text();
  const [one, other] = await Promise.all([ask(), ask()]);
  expect(one).toBe(other);
  expect(written).toBe(1);
  await ask();
  expect(written).toBe(2);
});
