import { certificateRequest, maxRequestBytes, nodeTokenHeader } from "@signet/shared/ca-api";
import { asSignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import { authenticate, requireTokens, type Tokens } from "../authenticate/caller.ts";
import { type IssueDeps, issue } from "../issue.ts";
import { readJson, refuseLargeBody, requireJson, validate } from "../request/body.ts";
import { jsonResponse } from "../respond/json.ts";
import type { Caller } from "../types.ts";

/** `POST /v1/certificates`. */
export function certificates(deps: IssueDeps): Hono<AppEnv> {
  return new Hono<AppEnv>().post("/", async (context) => {
    const { req: request } = context;
    const requestId = context.get("requestId");
    let caller: Caller | undefined;
    try {
      refuseLargeBody(request, maxRequestBytes);
      const tokens: Tokens = {
        workload: bearerToken(request.header("authorization")),
        node: request.header(nodeTokenHeader)?.trim() || undefined,
      };
      requireTokens(tokens, deps.verifier);
      requireJson(request);
      // Before any byte of the body is read.
      caller = await authenticate(tokens, deps.verifier);
      const asked = validate(certificateRequest, await readJson(request, maxRequestBytes, deps.setTimer));
      const certificate = await issue(requestId, caller, asked, deps);
      return jsonResponse(JSON.stringify(certificate), 201, requestId);
    } catch (error) {
      const known = asSignetError(error, "internal");
      await deps.audit.refused(requestId, known, caller);
      throw known;
    }
  });
}

/** RFC 6750 §2.1; the scheme's name is compared without case (RFC 9110 §11.1). */
function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(header?.trim() ?? "")?.[1];
}
