import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runStatus } from "@signet/node-agent/status/command";
import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inTrouble, troubled } from "./admin-stand-in.ts";
import { testIo } from "./command-io.ts";

let body: Record<string, string> = {};
const server = createServer((request, response) => response.end(body[request.url ?? ""]));
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

/** A document with some of its leaves, or whole branches of it, replaced by anything. */
function spoiled(value: unknown): fc.Arbitrary<unknown> {
  const whole = Array.isArray(value)
    ? fc.tuple(...value.map(spoiled))
    : typeof value === "object" && value !== null
      ? fc.record(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, spoiled(one)])))
      : fc.constant(value);
  const anyText = fc.string({ unit: "binary", maxLength: 40 });
  const other = typeof value === "string" ? fc.oneof(anyText, fc.jsonValue()) : fc.jsonValue();
  // A time that is none, or a wrong type, spoils the whole; other texts may be anything.
  const isFree = typeof value === "string" && !/^\d{4}-|^(?:healthy|untried|failing)$/.test(value);
  if (isFree) return fc.oneof({ weight: 3, arbitrary: whole }, { weight: 1, arbitrary: anyText });
  return fc.oneof({ weight: 200, arbitrary: whole }, { weight: 1, arbitrary: other });
}

test("whatever answers is shown without a control character, or refused as no agent", async () => {
  const admin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let shownTimes = 0;
  await fc.assert(
    fc.asyncProperty(spoiled(troubled), spoiled(inTrouble), async (status, workloads) => {
      body = { "/v1/status": JSON.stringify(status), "/v1/workloads": JSON.stringify(workloads) };
      const { io, shown } = testIo({ window: { columns: 90, rows: 24 }, env: { NO_COLOR: "1" } });
      const code = await runStatus({ admin, interval: 2 }, io).catch((error: unknown) => error);
      if (code instanceof Error) expect(code).toMatchObject({ name: "SignetError", code: "agent-unreachable" });
      else shownTimes++;
      const text = code instanceof SignetError ? "" : shown();
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      for (const line of text.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(90);
    }),
    { numRuns: 200 },
  );
  expect(shownTimes).toBeGreaterThan(20);
});
