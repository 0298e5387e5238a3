import { configError, describeIssues, validateConfig } from "@signet/shared/faults";
import * as v from "valibot";
import { accountPathsCheck } from "./config/account-paths.ts";
import { auditSchema } from "./config/audit.ts";
import { readDocument } from "./config/document.ts";
import { day, duration, trustDomain } from "./config/fields.ts";
import { issuersSchema, nodeBindingSchema } from "./config/issuer.ts";
import { keyKinds, leafLife, policyCheck, policySchema } from "./config/policy.ts";
import { rateLimitsSchema } from "./config/rate-limits.ts";
import { authoritySchema, trustDomainsCheck, trustDomainsSchema } from "./config/trust-domains.ts";

/** The configuration of the CA, one document on every platform. */
const members = v.strictObject({
  trustDomain,
  authority: authoritySchema,
  trustDomains: trustDomainsSchema,
  issuers: issuersSchema,
  nodeBinding: v.optional(nodeBindingSchema, { agents: ["signet-system/signet-node-agent"] }),
  leaf: v.optional(
    v.pipe(
      v.strictObject({
        defaultTtl: v.optional(leafLife, "1h"),
        maxTtl: v.optional(leafLife, "24h"),
        keys: v.optional(keyKinds, ["p256", "p384"]),
      }),
      v.forward(
        v.check(({ defaultTtl, maxTtl }) => defaultTtl <= maxTtl, "must not be over maxTtl"),
        ["defaultTtl"],
      ),
    ),
    {},
  ),
  trustBundle: v.optional(v.strictObject({ refreshHint: v.optional(duration(1, 7 * day, "1s to 7d"), "5m") }), {}),
  policy: policySchema,
  rateLimits: rateLimitsSchema,
  audit: auditSchema,
});

export const configSchema = v.pipe(members, trustDomainsCheck(), accountPathsCheck(), policyCheck());
/** Durations are in seconds. */
export type Config = v.InferOutput<typeof configSchema>;
export type IssuerConfig = Config["issuers"][number];

/**
 * Reads a configuration; comments and trailing commas are allowed.
 * @param source what to call it in messages, such as its file name
 * @throws SignetError `config-invalid` with every fault
 */
export function parseConfig(text: string, source: string): Config {
  const { value, faults } = readDocument(text);
  if (faults.length === 0) return validateConfig(configSchema, value, source);
  // A key that stands twice keeps nobody from looking at the rest; where there is no JSON, there is no rest.
  const { issues = [] } = value === undefined ? {} : v.safeParse(configSchema, value);
  throw configError(source, [...faults, ...describeIssues(issues)]);
}
