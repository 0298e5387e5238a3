import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { SignetError } from "./errors.ts";
import { configError, describeIssues, validateConfig } from "./faults.ts";

const schema = v.strictObject({
  name: v.string(),
  list: v.array(v.strictObject({ size: v.pipe(v.number(), v.minValue(1, "must be at least 1")) })),
  mode: v.optional(v.union([v.literal("off"), v.strictObject({ agents: v.array(v.string()) })], "must be off or so")),
});
const good = { name: "n", list: [{ size: 1 }] };

/** The keys of the lines that are told of a value. */
function faultKeys(value: unknown): string[] {
  const result = v.safeParse(schema, value);
  return result.success ? [] : describeIssues(result.issues).map((line) => line.split(":")[0] ?? "");
}

describe("faults of a configuration", () => {
  test.each([
    { rule: "a missing key", value: { list: [] }, keys: ["name"] },
    { rule: "a wrong type", value: { ...good, name: 1 }, keys: ["name"] },
    { rule: "an unknown key", value: { ...good, nmae: 1 }, keys: ["nmae"] },
    { rule: "the place in a list", value: { ...good, list: [{ size: 1 }, { size: 0 }] }, keys: ["list.1.size"] },
    { rule: "an unknown key in a list", value: { ...good, list: [{ size: 1, sise: 2 }] }, keys: ["list.0.sise"] },
    {
      rule: "what is wrong inside an arm of a union",
      value: { ...good, mode: { agents: [1] } },
      keys: ["mode.agents.0"],
    },
    { rule: "an unknown key in an arm of a union", value: { ...good, mode: { agents: [], x: 1 } }, keys: ["mode.x"] },
    { rule: "a value that no arm of a union takes", value: { ...good, mode: "on" }, keys: ["mode"] },
    { rule: "a document of another kind", value: [], keys: ["name", "list"] },
    { rule: "a document that is no object", value: 1, keys: ["the document"] },
    {
      rule: "all of them at once",
      value: { nmae: "n", list: [{ size: 0 }, {}] },
      keys: ["name", "list.0.size", "list.1.size", "nmae"],
    },
  ])("name $rule", ({ value, keys }) => {
    expect(faultKeys(value).sort()).toEqual([...keys].sort());
  });

  test("of a missing key its name is told once", () => {
    const result = v.safeParse(schema, {});
    expect(describeIssues(result.issues ?? [])).toEqual(["name: missing", "list: missing"]);
    expect(describeIssues(v.safeParse(schema, undefined).issues ?? [])).toEqual([
      "the document: missing; expected Object",
    ]);
  });

  test("a good value comes back", () => {
    expect(validateConfig(schema, good, "file")).toEqual(good);
  });

  test("one line for each fault, under the name of the source", () => {
    const error = configError("ca.json", ["a: wrong", "b: wrong"]);
    expect(error).toBeInstanceOf(SignetError);
    expect(error.code).toBe("config-invalid");
    expect(error.message.split("\n")).toEqual([expect.stringContaining("ca.json"), "  - a: wrong", "  - b: wrong"]);
    expect(() => validateConfig(schema, {}, "ca.json")).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
