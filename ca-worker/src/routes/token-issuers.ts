import type { TokenIssuers } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { asSignetError } from "@signet/shared/errors";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { Issuer } from "../authenticate/service-account.ts";
import type { Crypto } from "../crypto.ts";
import { cachedAnswer, etagOf } from "./cached-answer.ts";

export interface TokenIssuersDeps {
  readonly issuers: readonly Issuer[];
  readonly crypto: Crypto;
  readonly logger: Logger;
}

// A key that its issuer withdraws should not be trusted for much longer by anybody.
const maxAgeSeconds = 60;

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
    const etag = await etagOf(body, crypto);
    return cachedAnswer(context, { etag, maxAgeSeconds, contentType: "application/json", body: () => body });
  });
}
