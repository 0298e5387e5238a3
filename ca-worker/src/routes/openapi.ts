import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { Issuer } from "../authenticate/service-account.ts";
import type { Crypto } from "../crypto.ts";
import { openApiDocument } from "../openapi/document.ts";
import { nodeBindingOf } from "../openapi/issuance.ts";
import { cachedAnswer, etagOf } from "./cached-answer.ts";

const maxAgeSeconds = 300;

/** `GET /openapi.json`, made when somebody asks for the first time. */
export function openApi(issuers: readonly Pick<Issuer, "agents">[], crypto: Crypto): Hono<AppEnv> {
  let made: Promise<{ body: string; etag: string }> | undefined;
  const make = async () => {
    const body = JSON.stringify(openApiDocument({ nodeBinding: nodeBindingOf(issuers) }));
    return { body, etag: await etagOf(body, crypto) };
  };
  return new Hono<AppEnv>().get("/", async (context) => {
    made ??= make();
    const { body, etag } = await made;
    return cachedAnswer(context, { etag, maxAgeSeconds, contentType: "application/json", body: () => body });
  });
}
