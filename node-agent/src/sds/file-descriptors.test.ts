import { closeSync, openSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FileDescriptors } from "./file-descriptors.ts";

let open: number[];
let lowest: number;

beforeEach(() => {
  // From here on the numbers that are free are those from `lowest` on.
  open = Array.from({ length: 20 }, () => openSync("/dev/null", "r"));
  lowest = Math.max(...open) + 1;
});
afterEach(() => {
  for (const descriptor of open) closeSync(descriptor);
});

/** The limit of which so many are left for connections. */
const limitFor = (bound: number) => {
  let limit = bound;
  while (limit - Math.min(64, Math.floor(limit / 3)) < bound) limit++;
  return limit;
};

test("there is room as long as the agent's own are free, and again when a connection has gone", () => {
  const descriptors = new FileDescriptors(false, limitFor(lowest + 2));
  const taken: number[] = [];
  while (descriptors.hasRoomFor("shared")) taken.push(openSync("/dev/null", "r"));
  expect(taken.length).toBeLessThanOrEqual(3);
  expect(taken.length).toBeGreaterThan(0);
  closeSync(taken.pop() ?? -1);
  expect(descriptors.hasRoomFor("shared")).toBe(true);
  for (const descriptor of taken) closeSync(descriptor);
});

test("where pods have sockets of their own the shared one gets half, without them all", () => {
  const limit = 2 * lowest - 2;
  expect(new FileDescriptors(true, 4 * lowest + 1_000).hasRoomFor("shared")).toBe(true);
  const crowded = Array.from({ length: 200 }, () => openSync("/dev/null", "r"));
  const tight = 64 + crowded.length + limit;
  expect(new FileDescriptors(true, tight).hasRoomFor("shared")).toBe(false);
  expect(new FileDescriptors(true, tight).hasRoomFor("pod")).toBe(true);
  expect(new FileDescriptors(false, tight).hasRoomFor("shared")).toBe(true);
  for (const descriptor of crowded) closeSync(descriptor);
});

test("a limit that is not known bounds nothing; a small one is told of", () => {
  expect(new FileDescriptors(true, undefined).hasRoomFor("shared")).toBe(true);
  expect(new FileDescriptors(true, 1_024).isTight).toBe(true);
  expect(new FileDescriptors(true, 1_048_576).isTight).toBe(false);
});
