import { expect, test } from "vitest";
import { StreamClient, TestSecrets } from "./test-secrets.ts";

test("each push is timed until it is written, and each answer from then on", () => {
  const secrets = new TestSecrets();
  secrets.change("svid");
  const client = new StreamClient(secrets);
  client.reader.reads = false;
  client.ask(["default"]);
  const { pushSeconds, ackSeconds } = secrets.metrics;
  expect([pushSeconds.count, ackSeconds.count]).toEqual([0, 0]);
  client.reader.drain();
  expect([pushSeconds.count, ackSeconds.count]).toEqual([1, 0]);
  client.ask(["default"], { responseNonce: client.next().nonce });
  client.ask(["default"]);
  expect([pushSeconds.count, ackSeconds.count]).toEqual([1, 1]);
});
