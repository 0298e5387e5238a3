import { toHex } from "@signet/shared/base64";
import { Hono } from "hono";
import type { AppEnv } from "../app.ts";
import type { Issuer } from "../authenticate/service-account.ts";
import type { Crypto } from "../crypto.ts";
import { openApiDocument } from "../openapi/document.ts";
import { nodeBindingOf } from "../openapi/issuance.ts";
import { matches } from "./etag.ts";

const cacheSeconds = 300;
const bytes = new TextEncoder();

/** `GET /openapi.json`, made when somebody asks for the first time. */
export function openApi(issuers: readonly Pick<Issuer, "agents">[], crypto: Crypto): Hono<AppEnv> {
  let made: Promise<{ body: string; etag: string }> | undefined;
  const make = async () => {
    const body = JSON.stringify(openApiDocument({ nodeBinding: nodeBindingOf(issuers) }));
    return { body, etag: `"${toHex(await crypto.sha256(bytes.encode(body))).slice(0, 32)}"` };
  };
  return new Hono<AppEnv>().get("/", async (context) => {
    made ??= make();
    const { body, etag } = await made;
    const headers = { etag, "cache-control": `public, max-age=${cacheSeconds}` };
    if (matches(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
    return context.body(body, 200, { ...headers, "content-type": "application/json" });
  });
}
