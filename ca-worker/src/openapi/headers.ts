import type { Header, Ref } from "./types.ts";

const text = { type: "string" } as const;

/** The headers of answers, each said once. */
export const headers = {
  RequestId: {
    description: "By which the CA's log tells of this request.",
    required: true,
    schema: text,
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

export const cached = { etag: headerRef("ETag"), "cache-control": headerRef("MaxAge") };
