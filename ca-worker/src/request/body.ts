import type { SetTimer } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { parseStrictJson } from "@signet/shared/strict-json";
import type { HonoRequest } from "hono";
import * as v from "valibot";
import { within } from "../time-limit.ts";

/**
 * Refuses by the headers alone what would not be read anyway.
 * @throws SignetError `body-too-large`
 */
export function refuseLargeBody(request: HonoRequest, maxBytes: number): void {
  const length = request.header("content-length");
  if (length !== undefined && !(Number(length) <= maxBytes)) throw tooLarge(maxBytes);
}

/** @throws SignetError `unsupported-media-type` */
export function requireJson(request: HonoRequest): void {
  const type = request.header("content-type") ?? "";
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new SignetError("unsupported-media-type", "content-type must be application/json");
  }
  const encoding = request.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity") {
    throw new SignetError("unsupported-media-type", "content-encoding is not supported");
  }
}

// Under what a server of ours gives a whole request, so that the client is told what was wrong.
const bodyMilliseconds = 8_000;

// RFC 8259 §8.1: UTF-8, and no byte order mark; with the mark left in, the text is no JSON.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The body as JSON, strictly read: no member stands twice, and all of it is UTF-8.
 * @throws SignetError `body-too-large`, `request-timeout` or `malformed-request`, whose message quotes nothing of the body
 */
export async function readJson(request: HonoRequest, maxBytes: number, setTimer: SetTimer): Promise<unknown> {
  const sized = request.header("content-length") !== undefined;
  const reading = sized ? readSized(request, maxBytes) : readBounded(request.raw, maxBytes);
  const bytes = await within(bodyMilliseconds, setTimer, reading, tooSlow);
  try {
    return parseStrictJson(utf8.decode(bytes));
  } catch (cause) {
    const reason = cause instanceof SignetError ? cause.message : "text: it is not UTF-8";
    throw new SignetError("malformed-request", `the body, as ${reason}`, { cause });
  }
}

/** @throws SignetError `malformed-request` with every fault */
export function validate<const Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw new SignetError("malformed-request", result.issues.map(describeIssue).join("; "));
}

// What stands at the wrong place may be a secret: it is never told, and its name only if it is as plain as a member's.
function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? "the body";
  if (issue.expected !== "never") return `${path}: must be ${issue.expected}`;
  return /^[A-Za-z_]{1,24}$/.test(path) ? `${path}: unknown member` : "a member is unknown";
}

// Who says the length may say it wrong, where no server has counted.
async function readSized(request: HonoRequest, maxBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(await arrived(request.arrayBuffer()));
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  return bytes;
}

// A client that is still sending when the connection closes may never see the answer; this much more is read for it.
const maxDiscardedBytes = 1024 * 1024;

// Without a content-length the size shows only while reading.
async function readBounded(request: Request, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  const next = () => (reader === undefined ? undefined : arrived(reader.read()));
  for (let part = await next(); part !== undefined && !part.done; part = await next()) {
    size += part.value.byteLength;
    if (size <= maxBytes) parts.push(part.value);
    if (size > maxBytes + maxDiscardedBytes) {
      await reader?.cancel();
      break;
    }
  }
  if (size > maxBytes) throw tooLarge(maxBytes);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/** @throws SignetError `malformed-request` when the client broke off */
async function arrived<Part>(part: Promise<Part>): Promise<Part> {
  try {
    return await part;
  } catch (cause) {
    throw asSignetError(cause, "malformed-request", "the body did not arrive whole");
  }
}

function tooSlow(): SignetError {
  return new SignetError("request-timeout", `the body was not here within ${bodyMilliseconds / 1_000} s`);
}

function tooLarge(maxBytes: number): SignetError {
  return new SignetError("body-too-large", `the body is over ${maxBytes} bytes`);
}
