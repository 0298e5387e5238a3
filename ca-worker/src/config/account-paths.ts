import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { asSignetError } from "@signet/shared/errors";
import * as v from "valibot";
import { issuePath } from "./fields.ts";

const read = v.object({
  trustDomain: v.fallback(v.string(), ""),
  issuers: v.array(
    v.fallback(v.object({ trustDomain: v.optional(v.string()), path: v.optional(v.string(), defaultAccountPath) }), {
      path: "",
    }),
  ),
});

/** The first issuer of each path in a trust domain, by the path's template. */
type Paths = Map<string, { readonly path: AccountPath; readonly at: number }>;

/**
 * Holds the paths of a configuration's issuers against each other, whatever else is wrong in it. Issuers of one trust
 * domain and one path name the same accounts, which is how clusters share a mesh. By paths that only look alike an account
 * of one cluster could get the ID of quite another one.
 */
export function accountPathsCheck<Input>(): v.RawCheckAction<Input> {
  return v.rawCheck(({ dataset, addIssue }) => {
    const result = v.safeParse(read, dataset.value);
    if (!result.success) return;
    const { trustDomain: own, issuers } = result.output;
    const known = new Map<string, Paths>();
    for (const [at, { trustDomain = own, path: template }] of issuers.entries()) {
      const path = parse(template);
      const others: Paths = known.get(trustDomain) ?? new Map();
      known.set(trustDomain, others);
      if (path === undefined || others.has(template)) continue;
      const other = [...others.values()].find((one) => one.path.collidesWith(path));
      if (other !== undefined) {
        const what = `an account could have the ID that issuers.${other.at} gives another one, by "${other.path}"`;
        const message = `${what}; begin each path with a segment of its own, such as "/cluster-1"`;
        addIssue({ message, path: issuePath("issuers", at, "path") });
      }
      others.set(template, { path, at });
    }
  });
}

/** Undefined for what is none, which has its fault already. */
function parse(template: string): AccountPath | undefined {
  try {
    return AccountPath.parse(template);
  } catch (error) {
    if (asSignetError(error, "internal").code === "malformed-spiffe-id") return undefined;
    throw error;
  }
}
