import { toHex } from "@signet/shared/base64";
import type { TokenIssuers } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { asSignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { Issuer } from "../authenticate/service-account.ts";
import type { Crypto } from "../crypto.ts";
import { matches } from "./etag.ts";

export interface TokenIssuersDeps {
  readonly issuers: readonly Issuer[];
  readonly crypto: Crypto;
  readonly logger: Logger;
}

// A key that its issuer withdraws should not be trusted for much longer by anybody.
const cacheSeconds = 60;
const bytes = new TextEncoder();

/** `GET /v1/token-issuers`: what tokens are verified with here; an issuer whose keys cannot be had is left out. */
export function tokenIssuers({ issuers, crypto, logger }: TokenIssuersDeps): Hono<AppEnv> {
  const describe = async ({ keys, path, trustDomain, ...issuer }: Issuer): Promise<TokenIssuers["issuers"]> => {
    try {
      const { audiences, algorithms, maxTokenLifetimeSeconds } = issuer;
      return [
        {
          ...{ issuer: issuer.issuer, audiences: [...audiences], algorithms: [...algorithms], maxTokenLifetimeSeconds },
          trustDomain: trustDomain.name,
          accountPath: path.template,
          keys: { keys: [...(await keys.published())] },
        },
      ];
    } catch (error) {
      const { code, message } = asSignetError(error, "issuer-unavailable");
      logger.warn({ event: "token-issuers", issuer: issuer.issuer, code, error: message }, "issuer left out");
      return [];
    }
  };
  return new Hono<AppEnv>().get("/", async (context) => {
    const document: TokenIssuers = { issuers: (await Promise.all(issuers.map(describe))).flat() };
    const body = JSON.stringify(document);
    const etag = `"${toHex(await crypto.sha256(bytes.encode(body))).slice(0, 32)}"`;
    const headers = { etag, "cache-control": `public, max-age=${cacheSeconds}` };
    if (matches(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
    return context.body(body, 200, { ...headers, "content-type": "application/json" });
  });
}
