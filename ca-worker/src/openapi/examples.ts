import type { Problem } from "@signet/shared/ca-api";
import type { CaErrorCode } from "@signet/shared/errors";
import examples from "./examples.json" with { type: "json" };

/** What a CA was asked and did answer; `node test/tools/openapi-examples.ts` makes the file anew. */
export const example: typeof examples & { readonly problems: Readonly<Partial<Record<CaErrorCode, Problem>>> } =
  examples;
