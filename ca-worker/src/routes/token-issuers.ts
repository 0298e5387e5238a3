import type { PublishedJwk, TokenIssuers } from "@signet/shared/ca-api";
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

/** The keys of each issuer, in the issuers' order; undefined where they cannot be had. */
type Published = readonly (readonly PublishedJwk[] | undefined)[];

// A key that its issuer withdraws should not be trusted for much longer by anybody.
const maxAgeSeconds = 60;

/** `GET /v1/token-issuers`: what tokens are verified with here; an issuer whose keys cannot be had is left out. */
export function tokenIssuers({ issuers, crypto, logger }: TokenIssuersDeps): Hono<AppEnv> {
  // Anybody may ask, and there may be hundreds of issuers: the document is made once for the same keys.
  let made: { readonly of: Published; readonly body: string; readonly etag: string } | undefined;

  const keysOf = async ({ issuer, keys }: Issuer): Promise<readonly PublishedJwk[] | undefined> => {
    try {
      return await keys.published();
    } catch (error) {
      // Whoever reads the keys has told of it already.
      const { code, message } = asSignetError(error, "issuer-unavailable");
      logger.debug({ event: "token-issuers", issuer, code, error: message }, "issuer left out");
      return undefined;
    }
  };
  return new Hono<AppEnv>().get("/", async (context) => {
    const published = await Promise.all(issuers.map(keysOf));
    let document = made;
    if (document === undefined || document.of.some((keys, at) => keys !== published[at])) {
      const body = JSON.stringify(describe(issuers, published));
      document = { of: published, body, etag: await etagOf(body, crypto) };
      made = document;
    }
    const { body, etag } = document;
    return cachedAnswer(context, { etag, maxAgeSeconds, contentType: "application/json", body: () => body });
  });
}

function describe(issuers: readonly Issuer[], published: Published): TokenIssuers {
  return {
    issuers: issuers.flatMap(({ issuer, audiences, algorithms, maxTokenLifetimeSeconds, trustDomain, path }, at) => {
      const keys = published[at];
      if (keys === undefined) return [];
      return [
        {
          ...{ issuer, audiences: [...audiences], algorithms: [...algorithms], maxTokenLifetimeSeconds },
          trustDomain: trustDomain.name,
          accountPath: path.template,
          keys: { keys: [...keys] },
        },
      ];
    }),
  };
}
