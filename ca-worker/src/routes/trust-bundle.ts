import { pemContentType, type TrustBundle } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import type { AppEnv } from "../app.ts";
import type { AuthoritySources } from "../authority/sources.ts";
import { spiffeBundle } from "../respond/spiffe-bundle.ts";
import { type Cacheable, cachedAnswer } from "./cached-answer.ts";

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
    return cachedAnswer(context, {
      ...cachingOf(bundle, pem ? "pem" : jsonForm(bundle)),
      contentType: type,
      body: () => (pem ? bundle.roots.join("") : JSON.stringify(bundle)),
    });
  });
}

/** `GET /.well-known/spiffe-bundle`: the bundle for other trust domains (SPIFFE Federation, profile https_web). */
export function spiffeBundleEndpoint(authorities: AuthoritySources): Hono<AppEnv> {
  return new Hono<AppEnv>().get("/", async (context) => {
    const bundle = await bundleFor(context, authorities);
    return cachedAnswer(context, {
      ...cachingOf(bundle, "spiffe"),
      contentType: "application/json",
      body: () => JSON.stringify(spiffeBundle(bundle)),
    });
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

/** The sequence grows with every change of what is in the bundle. */
function cachingOf(
  { sequence, refreshHintSeconds }: TrustBundle,
  form: string,
): Pick<Cacheable, "etag" | "maxAgeSeconds"> {
  // A cache in between must not eat up the time that a new root has to be seen in.
  return { etag: `"${sequence}-${form}"`, maxAgeSeconds: Math.max(1, Math.floor(refreshHintSeconds / 5)) };
}
