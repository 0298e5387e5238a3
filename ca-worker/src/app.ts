import { toHex } from "@signet/shared/base64";
import type { Logger, SetTimer } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { Issuer } from "./authenticate/service-account.ts";
import type { IssueDeps } from "./issue.ts";
import { commonHeaders } from "./respond/headers.ts";
import { problemResponse, publicCode } from "./respond/problem.ts";
import { batch } from "./routes/batch.ts";
import { certificates } from "./routes/certificates.ts";
import { health } from "./routes/health.ts";
import { allowedMethods } from "./routes/methods.ts";
import { openApi } from "./routes/openapi.ts";
import { tokenIssuers } from "./routes/token-issuers.ts";
import { spiffeBundleEndpoint, trustBundle } from "./routes/trust-bundle.ts";
import { within } from "./time-limit.ts";

export interface AppEnv {
  readonly Variables: { readonly requestId: string };
}

export interface AppDeps extends IssueDeps {
  readonly issuers: readonly Issuer[];
  readonly logger: Logger;
  readonly setTimer: SetTimer;
}

const batchPath = "/v1/certificates/batch";

// Longer than anything that a request waits for may take by itself; whatever still hangs then must not hold its client.
const requestMilliseconds = 20_000;

/** The CA as a function from request to response: the same on every platform. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (context, next) => {
    const requestId = toHex(deps.crypto.random(8));
    context.set("requestId", requestId);
    await within(requestMilliseconds, deps.setTimer, next(), overdue);
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
  // Behind the hot routes, which set them where that costs a tenth of this on Node (respond/json.ts).
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(commonHeaders(context.get("requestId")))) context.header(name, value);
    await next();
  });
  app.route("/v1/trust-bundle", trustBundle(deps.authorities));
  app.route("/v1/token-issuers", tokenIssuers(deps));
  app.route("/.well-known/spiffe-bundle", spiffeBundleEndpoint(deps.authorities));
  app.route("/openapi.json", openApi(deps.issuers, deps.crypto));
  app.route("/", health(deps.authorities, deps.policy));
  app.notFound((context) => {
    const { path, method } = context.req;
    const allow = allowedMethods(app, path);
    // Without a word of other origins (CORS): no page has business here.
    if (method === "OPTIONS" && allow !== undefined) return context.body(null, 204, { allow });
    const error = new SignetError(allow === undefined ? "not-found" : "method-not-allowed", path);
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

function overdue(): SignetError {
  return new SignetError("cannot-sign", `the request was not done within ${requestMilliseconds / 1_000} s`);
}
