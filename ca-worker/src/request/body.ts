import { SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import type { HonoRequest } from "hono";
import * as v from "valibot";

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

/**
 * The body as JSON.
 * @throws SignetError `body-too-large` or `malformed-request`
 */
export async function readJson(request: HonoRequest, maxBytes: number): Promise<unknown> {
  const sized = request.header("content-length") !== undefined;
  const text = sized ? await request.text() : await readBounded(request.raw, maxBytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SignetError("malformed-request", "the body is not JSON", { cause });
  }
}

/** @throws SignetError `malformed-request` with every fault */
export function validate<const Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw new SignetError("malformed-request", describeIssues(result.issues).join("; "));
}

// A client that is still sending when the connection closes may never see the answer; this much more is read for it.
const maxDiscardedBytes = 1024 * 1024;

// Without a content-length the size shows only while reading.
async function readBounded(request: Request, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size <= maxBytes) text += decoder.decode(part.value, { stream: true });
    if (size > maxBytes + maxDiscardedBytes) {
      await reader?.cancel();
      break;
    }
  }
  if (size > maxBytes) throw tooLarge(maxBytes);
  return text + decoder.decode();
}

function tooLarge(maxBytes: number): SignetError {
  return new SignetError("body-too-large", `the body is over ${maxBytes} bytes`);
}
