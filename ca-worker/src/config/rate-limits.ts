import * as v from "valibot";
import { duration } from "./fields.ts";

const limit = v.optional(
  v.strictObject({
    /** Certificates, whether asked for one by one or in batches. */
    certificates: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000)),
    per: duration(1, 3_600, "1s to 1h"),
    /** Of Workers; its own limit and period count, and `per` is what those who are refused are told to wait. */
    binding: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a binding"))),
  }),
);

/** How many certificates may be asked for in a time; without it, as many as can be signed. */
export const rateLimitsSchema = v.optional(v.strictObject({ perNode: limit, perIssuer: limit }), {});
