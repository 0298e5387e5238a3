import { expect, test } from "vitest";
import { StreamClient, TestSecrets } from "./test-secrets.ts";

test("a thousand new unknown names with each request leave nothing behind but numbers", () => {
  const secrets = new TestSecrets();
  const client = new StreamClient(secrets);
  for (let n = 0; n < 20; n++) client.ask(Array.from({ length: 1_000 }, (_, at) => `${n}-${at}-${"x".repeat(200)}`));
  expect(secrets.metrics.unknownNames).toBe(20_000);
  // One line for each list, with some of its names.
  expect(secrets.lines).toHaveLength(20);
  expect(secrets.lines[0]?.fields).toMatchObject({ count: 1_000 });
  expect(JSON.stringify(secrets.lines[0]?.fields).length).toBeLessThan(4_000);
  expect(client.untaken).toBe(0);
});
