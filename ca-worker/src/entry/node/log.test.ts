import { spawnSync } from "node:child_process";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { answering, type NodeBindings } from "./answer.ts";
import { Drain } from "./drain.ts";
import { holdLines } from "./log.ts";
import { requestMetrics } from "./metrics/requests.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("held lines", () => {
  test("go out together at the end of their turn, in order", async () => {
    const out: string[] = [];
    const lines = holdLines((text) => out.push(text));
    lines.write("a\n");
    await undefined;
    lines.write("b\n");
    expect(out).toEqual([]);
    await turn();
    lines.write("c\n");
    await turn();
    expect(out).toEqual(["a\nb\n", "c\n"]);
  });

  test("go out at once when told to, and only once", async () => {
    const out: string[] = [];
    const lines = holdLines((text) => out.push(text));
    lines.write("a\n");
    lines.flush();
    expect(out).toEqual(["a\n"]);
    await turn();
    expect(out).toEqual(["a\n"]);
  });

  test("do not pile up within a turn", () => {
    const out: string[] = [];
    const lines = holdLines((text) => out.push(text));
    for (let n = 0; n < 200; n++) lines.write(`${"x".repeat(1_023)}\n`);
    lines.flush();
    expect(out.length).toBe(4);
    expect(out.join("")).toHaveLength(200 * 1_024);
  });

  test("are out before the answer that they tell of", async () => {
    const out: string[] = [];
    const lines = holdLines((text) => out.push(text));
    const answer = answering(
      async () => {
        lines.write("signed\n");
        return new Response();
      },
      requestMetrics([], new Registry()),
      new Drain(),
      lines.flush,
    );
    const env = { incoming: { url: "/", httpVersionMajor: 1 } } as NodeBindings;
    await answer(new Request("http://ca/"), env);
    expect(out).toEqual(["signed\n"]);
  });

  test.each([
    { end: "its own end", code: "" },
    { end: "process.exit()", code: "process.exit(0);" },
    { end: "an exception that nobody catches", code: "throw new Error('test');" },
  ])("are out in spite of $end", ({ code }) => {
    const log = JSON.stringify(new URL("log.ts", import.meta.url));
    const program = `const { createLogger } = await import(${log}); createLogger("info").info({}, "last"); ${code}`;
    const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect(stderr).toContain('"msg":"last"');
  });
});
