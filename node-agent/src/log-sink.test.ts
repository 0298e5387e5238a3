import { expect, test } from "vitest";
import { LogSink } from "./log-sink.ts";

/** A disk or pipe that takes `room` more bytes and then fails. */
class Narrow {
  text = "";
  room = Number.POSITIVE_INFINITY;
  readonly write = (bytes: Uint8Array): number => {
    if (this.room <= 0) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.text += Buffer.from(taken).toString();
    return taken.length;
  };
}

test("lines that cannot be written are counted, and the next one that can says how many they were", () => {
  const disk = new Narrow();
  let lost = 0;
  const sink = new LogSink(disk.write, () => lost++);
  sink.write('{"n":1}\n');
  disk.room = 0;
  for (let n = 0; n < 3; n++) sink.write(`{"left":"out"}\n`);
  expect(lost).toBe(3);
  disk.room = Number.POSITIVE_INFINITY;
  sink.write('{"n":2}\n');
  sink.write('{"n":3}\n');
  const lines = disk.text.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { n: 1 },
    expect.objectContaining({ level: "warn", program: "signet-agent", lines: 3, msg: "log lines were lost" }),
    { n: 2 },
    { n: 3 },
  ]);
});

test("a line that was written in part is ended before the next one, wherever it broke off", () => {
  const line = '{"n":1}\n';
  for (let room = 1; room < line.length; room++) {
    const disk = new Narrow();
    const sink = new LogSink(disk.write, () => undefined);
    disk.room = room;
    sink.write(line);
    // Not even the end of the line fits.
    sink.write(line);
    disk.room = Number.POSITIVE_INFINITY;
    sink.write('{"n":2}\n');
    const [broken, gap, next, rest] = disk.text.split("\n");
    expect(broken).toBe(line.slice(0, room));
    expect(JSON.parse(gap ?? "")).toMatchObject({ lines: 2 });
    expect(next).toBe('{"n":2}');
    expect(rest).toBe("");
  }
});

test("a pipe that takes a little at a time gets all of it in order", () => {
  let text = "";
  const sink = new LogSink(
    (bytes) => {
      text += Buffer.from(bytes.subarray(0, 3)).toString();
      return Math.min(3, bytes.length);
    },
    () => expect.unreachable(),
  );
  sink.write('{"n":1}\n');
  sink.write('{"n":2}\n');
  expect(text).toBe('{"n":1}\n{"n":2}\n');
});
