import { createHash } from "node:crypto";
import type { Answer } from "../admin-server.ts";
import { page } from "./document.ts";

/**
 * The page to look at: one document that needs nothing from anywhere else. Its headers let it do what it does and no more:
 * run this very script and style, and ask the server it came from. Loaded when somebody looks.
 */
export function pageAnswer(): Answer {
  const { html, script, style } = page;
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // No text, wherever it comes from, becomes markup.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return {
    contentType: "text/html; charset=utf-8",
    headers: {
      "content-security-policy": policy,
      "cross-origin-opener-policy": "same-origin",
      "permissions-policy": "camera=(), geolocation=(), microphone=()",
      "x-frame-options": "DENY",
    },
    // Functions, because a replacement text of its own would have "$" mean something.
    body: html.replace("/*style*/", () => style).replace("/*script*/", () => script),
  };
}

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
