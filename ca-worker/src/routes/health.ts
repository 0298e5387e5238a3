import { asSignetError, type SignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { AuthoritySource } from "../authority/source.ts";
import type { AuthoritySources } from "../authority/sources.ts";
import { type Policy, refreshDenyLists } from "../authorize/policy.ts";
import { requireIssuer } from "../sign/require-issuer.ts";

/**
 * `GET /healthz` and `GET /readyz`. A CA of several trust domains is ready while it can sign for one of them, and tells of
 * each. It is not ready while it cannot know whom to deny.
 */
export function health(authorities: AuthoritySources, policy: Policy): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get("/healthz", (context) => context.json({ status: "ok" }))
    .get("/readyz", async (context) => {
      const fault = await refreshDenyLists(policy);
      if (fault !== undefined) return context.json(notReady(fault), 503, { "retry-after": "5" });
      const each = await Promise.all([...authorities].map(readinessOf));
      const shown = each.find(({ status }) => status === "ready") ?? each[0];
      const more = each.length > 1 && {
        trustDomains: [...authorities].map(({ trustDomain }, at) => ({ trustDomain: trustDomain.name, ...each[at] })),
      };
      const ready = shown?.status === "ready";
      return context.json({ ...shown, ...more }, ready ? 200 : 503, ready ? {} : { "retry-after": "5" });
    });
}

async function readinessOf(source: AuthoritySource) {
  try {
    const { issuer, bundle } = await source.current();
    const { authority } = requireIssuer(issuer);
    return { status: "ready", authority: authority.id, sequence: bundle.sequence } as const;
  } catch (error) {
    return notReady(asSignetError(error, "internal"));
  }
}

function notReady({ code, message }: SignetError) {
  return { status: "not ready", code, reason: message } as const;
}
