import { pemContentType, type TrustBundle } from "@signet/shared/ca-api";
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import type { AppEnv } from "../app.ts";
import type { AuthoritySource } from "../authority/source.ts";
import { spiffeBundle } from "../respond/spiffe-bundle.ts";
import { matches } from "./etag.ts";

/** `GET /v1/trust-bundle`, as JSON or PEM. */
export function trustBundle(authorities: AuthoritySource): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/", async (context) => {
    const { bundle } = await authorities.current();
    const type = accepts(context, {
      header: "Accept",
      supports: ["application/json", pemContentType],
      default: "application/json",
    });
    const pem = type === pemContentType;
    context.header("vary", "accept");
    return answer(context, bundle, pem ? "pem" : jsonForm(bundle), type, () =>
      pem ? bundle.roots.join("") : JSON.stringify(bundle),
    );
  });
}

/** `GET /.well-known/spiffe-bundle`: the bundle for other trust domains (SPIFFE Federation, profile https_web). */
export function spiffeBundleEndpoint(authorities: AuthoritySource): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/", async (context) => {
    const { bundle } = await authorities.current();
    return answer(context, bundle, "spiffe", "application/json", () => JSON.stringify(spiffeBundle(bundle)));
  });
}

// A taint must be seen also where somebody forgot to count the sequence up.
function jsonForm({ taintedKeyIds = [] }: TrustBundle): string {
  return ["json", ...taintedKeyIds.map((id) => id.slice(0, 16))].join("-");
}

/** A form of the bundle, or 304 where the client has it; the sequence grows with every change of what is in it. */
function answer(
  context: Context<AppEnv>,
  bundle: TrustBundle,
  form: string,
  type: string,
  body: () => string,
): Response {
  const etag = `"${bundle.sequence}-${form}"`;
  const headers = { etag, "cache-control": `public, max-age=${cacheSeconds(bundle.refreshHintSeconds)}` };
  if (matches(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
  return context.body(body(), 200, { ...headers, "content-type": type });
}

// A cache in between must not eat up the time that a new root has to be seen in.
function cacheSeconds(refreshHintSeconds: number): number {
  return Math.max(1, Math.floor(refreshHintSeconds / 5));
}
