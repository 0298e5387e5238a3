import type { Header, Ref } from "./types.ts";

const text = { type: "string" } as const;

/** The headers of answers, each said once. */
export const headers = {
  RequestId: {
    description: "By which the CA's log tells of this request.",
    required: true,
    schema: text,
  },
  NoPage: {
    description: "No page of any origin may show or load it.",
    required: true,
    schema: { const: "default-src 'none'; frame-ancestors 'none'" },
  },
  NoSniff: {
    description: "It is what `content-type` says.",
    required: true,
    schema: { const: "nosniff" },
  },
  NoStore: {
    description: "The answer is for who asked, now.",
    required: true,
    schema: { const: "no-store" },
  },
  MaxAge: {
    description: "How long the answer may be kept before it is asked for again.",
    required: true,
    schema: { type: "string", pattern: "^public, max-age=[1-9][0-9]*$" },
  },
  ETag: {
    description: "Names this content; send it as `if-none-match` to be told with 304 that nothing changed.",
    required: true,
    schema: { type: "string", pattern: '^"[^"]+"$' },
  },
  VaryAccept: {
    description: "Another `accept` may get another form.",
    required: true,
    schema: { const: "accept" },
  },
  RetryAfter: {
    description: "Seconds after which asking again can help.",
    required: true,
    schema: { type: "string", pattern: "^[0-9]+$" },
  },
  WwwAuthenticate: {
    description: "The scheme of the tokens (RFC 6750 §3). Nothing more: the log says why.",
    required: true,
    schema: { const: "Bearer" },
  },
} as const satisfies Record<string, Header>;

export const headerRef = (name: keyof typeof headers): Ref => ({ $ref: `#/components/headers/${name}` });

const common = {
  "x-request-id": headerRef("RequestId"),
  "content-security-policy": headerRef("NoPage"),
  "x-content-type-options": headerRef("NoSniff"),
};

/** Of every answer that is not {@link cached}. */
export const fresh = { ...common, "cache-control": headerRef("NoStore") };
export const cached = { ...common, etag: headerRef("ETag"), "cache-control": headerRef("MaxAge") };
