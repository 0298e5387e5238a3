import * as v from "valibot";
import { SignetError } from "./errors.ts";

/** One line for each fault of a configuration: which key, what is wrong, what is expected. */
export function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string[] {
  return describe(issues, "");
}

function describe(issues: readonly v.BaseIssue<unknown>[], parent: string): string[] {
  return issues.flatMap((issue) => {
    const path = parent + (v.getDotPath(issue) ?? "");
    // In a union the arms' own issues say more than "received Object" does; their paths start at the union.
    const arms = (issue.issues ?? []).filter((arm) => arm.path !== undefined);
    const inner = describe(arms, path === "" ? "" : `${path}.`);
    if (inner.length > 0) return inner;
    const key = path === "" ? "the document" : path;
    if (issue.expected === "never") return [`${key}: unknown key`];
    if (issue.kind === "schema" && issue.received === "undefined") {
      // Of a member that an object lacks, valibot expects its own name.
      const itself = issue.expected === JSON.stringify(issue.path?.at(-1)?.key);
      return [itself ? `${key}: missing` : `${key}: missing; expected ${issue.expected}`];
    }
    return [`${key}: ${issue.message}`];
  });
}

/**
 * Validates a configuration and reports every fault at once.
 * @param source what to call the document in the message: a file name, `SIGNET_CONFIG`
 * @throws SignetError `config-invalid`
 */
export function validateConfig<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  source: string,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw configError(source, describeIssues(result.issues));
}

/** The one form in which faults of a configuration are told. */
export function configError(source: string, faults: readonly string[]): SignetError {
  return new SignetError(
    "config-invalid",
    `${source} is not a valid configuration:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`,
    { faults },
  );
}
