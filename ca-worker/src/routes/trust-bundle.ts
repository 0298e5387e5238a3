import { pemContentType, type TrustBundle } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import type { AppEnv } from "../app.ts";
import type { AuthoritySources } from "../authority/sources.ts";
import { spiffeBundle } from "../respond/spiffe-bundle.ts";
import { matches } from "./etag.ts";

/** `GET /v1/trust-bundle`, as JSON or PEM; `?trustDomain=NAME` for one that is not the CA's own. */
export function trustBundle(authorities: AuthoritySources): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/", async (context) => {
    const bundle = await bundleFor(context, authorities);
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
export function spiffeBundleEndpoint(authorities: AuthoritySources): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/", async (context) => {
    const bundle = await bundleFor(context, authorities);
    return answer(context, bundle, "spiffe", "application/json", () => JSON.stringify(spiffeBundle(bundle)));
  });
}

async function bundleFor({ req: request }: Context<AppEnv>, authorities: AuthoritySources): Promise<TrustBundle> {
  const [name, ...more] = request.queries("trustDomain") ?? [];
  if (more.length > 0) throw new SignetError("malformed-request", "trustDomain is given more than once");
  const source = name === undefined ? authorities.own : authorities.find(name);
  if (source === undefined) throw new SignetError("not-found", "the trust domain is not served");
  return (await source.current()).bundle;
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
