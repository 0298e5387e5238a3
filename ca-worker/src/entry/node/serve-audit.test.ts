import { afterAll, beforeAll, expect, test } from "vitest";
import { type EventReceiver, startEventReceiver } from "../../../../test/support/event-receiver.ts";
import { until } from "../../../../test/support/poll.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { parseConfig } from "../../config.ts";
import { serve } from "./serve.ts";

let folder: WorkFolder;
let receiver: EventReceiver;
beforeAll(async () => {
  folder = await makeWorkFolder("serve-audit");
  receiver = await startEventReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await folder.remove();
});

test("what waits for a sink at the end is delivered before a CA on Node ends, and its metrics tell what waited", async () => {
  const issuer = await TokenIssuer.create();
  const config = parseConfig(
    JSON.stringify({
      trustDomain: "cluster.local",
      authority: { store: "file:authority.json" },
      issuers: [{ issuer: issuer.issuer, audiences: ["signet-ca"], keys: issuer.jwks }],
      audit: { sinks: [{ type: "https", url: receiver.url }] },
    }),
    "ca.jsonc",
  );
  const logger = makeLogger();
  const place = { config, source: "ca.jsonc", folder: folder.path, host: "127.0.0.1", port: 0, tls: undefined };
  const running = await serve({ ...place, logger });
  receiver.answer(503);
  await fetch(`${running.url}/v1/certificates`, { method: "POST" });
  const waits = /^signet_ca_audit_waiting\{sink="http:[^"]*\/events"[^}]*\} 1$/m;
  await until("the event to wait", async () => waits.test(await (await fetch(`${running.url}/metrics`)).text()));
  expect(receiver.events).toEqual([]);
  receiver.answer(204);
  await running.stop();
  expect(receiver.events).toMatchObject([{ event: "refused", code: "token-missing" }]);
  expect(logger.lines.filter(({ event }) => event === "audit-sink")).toMatchObject([
    { level: "error" },
    { level: "info" },
  ]);
});
