import { defaultAccountPath } from "@signet/shared/account-path";
import { tokenIssuers } from "@signet/shared/ca-api";
import * as v from "valibot";
import type { Config } from "../config.ts";
import { type Finding, fail } from "../terminal/finding.ts";

/** Whether the CA names accounts as the agent does, by what `/v1/token-issuers` says. */
export function examineNaming(
  document: unknown,
  { accountPath, trustDomain }: Pick<Config, "accountPath" | "trustDomain">,
): Finding[] {
  const read = v.safeParse(tokenIssuers, document);
  if (!read.success) return [];
  const issuers = read.output.issuers.filter((issuer) => issuer.trustDomain === trustDomain.name);
  const paths = [...new Set(issuers.map((issuer) => issuer.accountPath ?? defaultAccountPath))];
  const [theirs] = paths;
  if (theirs === undefined || paths.includes(accountPath.template)) return [];
  return [
    fail(
      `the CA names accounts ${paths.join(" or ")}, the agent ${accountPath}: the CA refuses what it asks for`,
      `give --account-path '${theirs}', or change "path" of the issuer in the CA's configuration`,
    ),
  ];
}
