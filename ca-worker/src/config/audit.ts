import * as v from "valibot";
import { isAllowedKeyUrl } from "../authenticate/fetch-keys.ts";
import { duration } from "./fields.ts";
import { storeLocation } from "./location.ts";

const required = v.optional(v.boolean(), false);
const binding = v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a binding"));

const sink = v.variant("type", [
  /** Lines of JSON where the platform's log goes. */
  v.strictObject({ type: v.literal("log") }),
  v.strictObject({
    type: v.literal("https"),
    url: v.pipe(v.string(), v.check(isAllowedKeyUrl, "must be an https URL, without credentials in it")),
    /** Where the value of the `authorization` header is kept. */
    authorization: v.optional(storeLocation),
    timeout: v.optional(duration(1, 10, "1s to 10s"), "3s"),
    required,
  }),
  v.strictObject({ type: v.literal("queue"), binding, required }),
  v.strictObject({
    type: v.literal("analytics"),
    binding,
    required: v.optional(
      v.literal(false, "Analytics Engine takes samples and never says that it failed; require a queue or https sink"),
    ),
  }),
]);
export type SinkConfig = v.InferOutput<typeof sink>;
/** A sink that is a binding of the platform's. */
export type BindingSink = Extract<SinkConfig, { binding: string }>;

const placeOf = (one: SinkConfig): string => ("url" in one ? one.url : "binding" in one ? one.binding : one.type);

/** Where audit events go. */
export const auditSchema = v.optional(
  v.strictObject({
    sinks: v.pipe(
      v.array(sink),
      v.minLength(1, 'at least one sink is needed, such as {"type": "log"}'),
      v.check((sinks) => new Set(sinks.map(placeOf)).size === sinks.length, "a sink stands twice"),
    ),
  }),
  { sinks: [{ type: "log" }] },
);
