import type { Problem } from "@signet/shared/ca-api";
import type { CaErrorCode } from "@signet/shared/errors";
import examples from "./examples.json" with { type: "json" };

/** What a CA was asked and did answer; `npm run examples` makes the file anew. */
export const example: typeof examples & { readonly problems: Readonly<Record<CaErrorCode, Problem>> } = examples;
