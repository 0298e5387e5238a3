import { gzipSync } from "node:zlib";
import { makeCsr } from "../support/csr.ts";
import type { Ask } from "./platforms.ts";
import type { Refusal } from "./refusal.ts";

const utf8 = new TextEncoder();
const json = (members: object = {}) => JSON.stringify({ csr: makeCsr(), ...members });

/** A body that only its right reading makes a bad one: it has a good CSR. */
const malformed = (rule: string, body: () => BodyInit): Refusal => ({
  ...{ rule, status: 400, code: "malformed-request" },
  request: () => ({ body: body() }),
});

/** A body whose CSR, though good, ends with these bytes: who reads them leniently finds fault with the CSR only. */
const bytesInCsr = (rule: string, latin1: string): Refusal => ({
  ...malformed(rule, () => Uint8Array.from(Buffer.from(json({ csr: makeCsr() + latin1 }), "latin1"))),
  bytes: true,
});

const ofType = (rule: string, headers: Ask["headers"], body?: () => BodyInit): Refusal => ({
  ...{ rule, status: 415, code: "unsupported-media-type" },
  request: () => ({ ...(headers && { headers }), ...(body && { body: body() }) }),
});

/** Bodies that two readers could take for two things, and such as no reader should take at all. */
export const bodyRefusals: readonly Refusal[] = [
  malformed("a body that is not JSON", () => "{"),
  malformed("an empty body", () => ""),
  malformed("a body of blanks", () => "   \r\n"),
  malformed("a list", () => "[]"),
  malformed("a list with the request in it", () => `[${json()}]`),
  malformed("null", () => "null"),
  malformed("a text with the request in it", () => JSON.stringify(json())),
  malformed("no CSR", () => "{}"),
  malformed("an unknown member", () => json({ dns: ["a"] })),
  malformed("two CSRs", () => json().replace("{", `{"csr":${JSON.stringify(makeCsr())},`)),
  malformed("the same member twice by an escape", () => json().replace("{", '{"\\u0063sr":"x",')),
  malformed("two lives", () => json({ ttlSeconds: 60 }).replace("{", '{"ttlSeconds":5,')),
  malformed("__proto__", () => json().replace("{", '{"__proto__":{"ttlSeconds":5},')),
  malformed("the CSR by way of __proto__", () => `{"__proto__":${json()}}`),
  malformed("constructor", () => json().replace("{", '{"constructor":{"prototype":{"csr":"x"}},')),
  malformed("JSON as deep as it fits", () => `{"csr":${"[".repeat(30_000)}${"]".repeat(30_000)}}`),
  malformed("JSON that is deep and broken", () => "[".repeat(60_000)),
  malformed("a CSR that is an object", () => json({ csr: { toString: "x" } })),
  malformed("a comment", () => json().replace("{", "{/* */")),
  malformed("a comma at the end", () => json().replace(/}$/, ",}")),
  malformed("two requests", () => json() + json()),
  malformed("a NUL after the end", () => `${json()}\0`),
  malformed("a NUL in a name", () => json().replace('"csr"', '"csr\\u0000"')),
  malformed("a byte order mark", () => Uint8Array.of(0xef, 0xbb, 0xbf, ...utf8.encode(json()))),
  malformed("UTF-16", () => Uint8Array.from(Buffer.from(json(), "utf16le"))),
  bytesInCsr("a byte that is no UTF-8", "\u00ff"),
  bytesInCsr("UTF-8 of more bytes than needed", "\u00c0\u00a0"),
  bytesInCsr("UTF-8 that ends too soon", "\u00e2\u0082"),
  bytesInCsr("half a surrogate pair in UTF-8", "\u00ed\u00a0\u0080"),
  malformed("half a surrogate pair", () => json().replace(/\\n"/, '\\n\\ud800"')),
  malformed("a life of no number", () => json({ ttlSeconds: "1h" })),
  malformed("a life of a number in a text", () => json({ ttlSeconds: "3600" })),
  malformed("a negative life", () => json({ ttlSeconds: -1 })),
  malformed("a life of zero", () => json({ ttlSeconds: 0 })),
  malformed("a life of part of a second", () => json({ ttlSeconds: 60.5 })),
  malformed("a life beyond all numbers", () => json({ ttlSeconds: 1 }).replace(/1}$/, "1e400}")),
  malformed("a life beyond the whole numbers", () => json({ ttlSeconds: 1 }).replace(/1}$/, "9007199254740993}")),
  malformed("a life with a zero before it", () => json({ ttlSeconds: 1 }).replace(/1}$/, "060}")),
  {
    ...{ rule: "a body over 64 KiB", status: 413, code: "body-too-large" },
    request: { body: JSON.stringify({ csr: "x".repeat(70_000) }) },
  },
  ofType("a form", { "content-type": "application/x-www-form-urlencoded" }),
  ofType("no type", { "content-type": "" }),
  ofType("another type that is JSON", { "content-type": "application/vnd.api+json" }),
  ofType("two types", { "content-type": "application/json, text/plain" }),
  ofType("UTF-16 by its type", { "content-type": "application/json; charset=utf-16" }),
  ofType("Latin-1 by its type", { "content-type": "application/json; charset=iso-8859-1" }),
  ofType("two charsets", { "content-type": "application/json; charset=utf-8; charset=utf-7" }),
  ofType("gzip", { "content-encoding": "gzip" }, () => Uint8Array.from(gzipSync(json()))),
  ofType("gzip that says so in capitals", { "content-encoding": "GZIP" }, () => Uint8Array.from(gzipSync(json()))),
  ofType("gzip that is none", { "content-encoding": "gzip" }),
  ofType("two encodings", { "content-encoding": "identity, gzip" }),
  // What is compressed without a word is no JSON.
  malformed("gzip that does not say so", () => Uint8Array.from(gzipSync(json()))),
];
