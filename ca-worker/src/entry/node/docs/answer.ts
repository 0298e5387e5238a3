import { createHash } from "node:crypto";
import type { Issuer } from "../../../authenticate/service-account.ts";
import { openApiDocument } from "../../../openapi/document.ts";
import { nodeBindingOf } from "../../../openapi/issuance.ts";
import { docsPage } from "./page.ts";
import { style } from "./style.ts";

/**
 * `GET /docs`: the OpenAPI document for people. It takes nothing from anywhere, and its headers let it do nothing but
 * show itself in its own style.
 */
export function docsAnswer(issuers: readonly Pick<Issuer, "agents">[]): () => Response {
  let made: string | undefined;
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return () => {
    made ??= docsPage(openApiDocument({ nodeBinding: nodeBindingOf(issuers) }));
    return new Response(made, {
      headers: {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-cache",
      },
    });
  };
}
