import { toHex } from "@signet/shared/base64";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { Issuer } from "./authenticate/service-account.ts";
import type { IssueDeps } from "./issue.ts";
import { problemResponse, publicCode } from "./respond/problem.ts";
import { batch } from "./routes/batch.ts";
import { certificates } from "./routes/certificates.ts";
import { health } from "./routes/health.ts";
import { openApi } from "./routes/openapi.ts";
import { tokenIssuers } from "./routes/token-issuers.ts";
import { spiffeBundleEndpoint, trustBundle } from "./routes/trust-bundle.ts";

export interface AppEnv {
  readonly Variables: { readonly requestId: string };
}

export interface AppDeps extends IssueDeps {
  readonly issuers: readonly Issuer[];
  readonly logger: Logger;
}

const batchPath = "/v1/certificates/batch";

/** Methods of each path, for the 405 of the others (RFC 9110 §15.5.6). */
const allowedMethods: Readonly<Record<string, string>> = {
  "/v1/certificates": "POST",
  [batchPath]: "POST",
  "/v1/trust-bundle": "GET, HEAD",
  "/v1/token-issuers": "GET, HEAD",
  "/.well-known/spiffe-bundle": "GET, HEAD",
  "/openapi.json": "GET, HEAD",
  "/healthz": "GET, HEAD",
  "/readyz": "GET, HEAD",
};

/** The CA as a function from request to response: the same on every platform. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (context, next) => {
    context.set("requestId", toHex(deps.crypto.random(8)));
    await next();
  });
  const tellInternal = (error: SignetError, requestId: string, path: string) => {
    // The frames only: a message may quote what the request held.
    const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
    const fields = { event: "internal", requestId, path, error: error.name, frames: frames.slice(0, 8) };
    deps.logger.error(fields, "request failed");
  };
  app.route("/v1/certificates", certificates(deps));
  app.route(
    batchPath,
    batch(deps, (error, requestId) => tellInternal(error, requestId, batchPath)),
  );
  app.route("/v1/trust-bundle", trustBundle(deps.authorities));
  app.route("/v1/token-issuers", tokenIssuers(deps));
  app.route("/.well-known/spiffe-bundle", spiffeBundleEndpoint(deps.authorities));
  app.route("/openapi.json", openApi(deps.issuers, deps.crypto));
  app.route("/", health(deps.authorities));
  app.notFound((context) => {
    const allow = allowedMethods[context.req.path];
    const error = new SignetError(allow === undefined ? "not-found" : "method-not-allowed", context.req.path);
    const response = problemResponse(error, context.get("requestId"));
    if (allow !== undefined) response.headers.set("allow", allow);
    return response;
  });
  app.onError((error, context) => {
    const known = asSignetError(error, "internal");
    const requestId = context.get("requestId");
    if (publicCode(known) === "internal") tellInternal(known, requestId, context.req.path);
    return problemResponse(known, requestId);
  });
  return app;
}
