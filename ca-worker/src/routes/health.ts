import { asSignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { AuthoritySource } from "../authority/source.ts";
import { requireIssuer } from "../sign/require-issuer.ts";

/** `GET /healthz` and `GET /readyz`. */
export function health(authorities: AuthoritySource): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get("/healthz", (context) => context.json({ status: "ok" }))
    .get("/readyz", async (context) => {
      try {
        const { issuer, bundle } = await authorities.current();
        const { authority } = requireIssuer(issuer);
        return context.json({ status: "ready", authority: authority.id, sequence: bundle.sequence });
      } catch (error) {
        const { code, message } = asSignetError(error, "internal");
        return context.json({ status: "not ready", code, reason: message }, 503, { "retry-after": "5" });
      }
    });
}
