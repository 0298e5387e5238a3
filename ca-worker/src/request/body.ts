import { type CertificateRequest, certificateRequest, maxRequestBytes } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import type { HonoRequest } from "hono";
import * as v from "valibot";

/**
 * Refuses by the headers alone what would not be read anyway.
 * @throws SignetError `body-too-large`
 */
export function refuseLargeBody(request: HonoRequest): void {
  const length = request.header("content-length");
  if (length !== undefined && !(Number(length) <= maxRequestBytes)) throw tooLarge();
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
 * The body as a certificate request.
 * @throws SignetError `body-too-large` or `malformed-request`
 */
export async function readCertificateRequest(request: HonoRequest): Promise<CertificateRequest> {
  const text = request.header("content-length") === undefined ? await readBounded(request.raw) : await request.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SignetError("malformed-request", "the body is not JSON", { cause });
  }
  const result = v.safeParse(certificateRequest, value);
  if (result.success) return result.output;
  throw new SignetError("malformed-request", describeIssues(result.issues).join("; "));
}

// A client that is still sending when the connection closes may never see the answer; this much more is read for it.
const maxDiscardedBytes = 1024 * 1024;

// Without a content-length the size shows only while reading.
async function readBounded(request: Request): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size <= maxRequestBytes) text += decoder.decode(part.value, { stream: true });
    if (size > maxDiscardedBytes) {
      await reader?.cancel();
      break;
    }
  }
  if (size > maxRequestBytes) throw tooLarge();
  return text + decoder.decode();
}

function tooLarge(): SignetError {
  return new SignetError("body-too-large", `the body is over ${maxRequestBytes} bytes`);
}
