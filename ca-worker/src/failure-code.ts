import { SignetError } from "@signet/shared/errors";

/**
 * What the system calls a failure, below the `fetch failed` that fetch says of all: ECONNREFUSED, CERT_HAS_EXPIRED. Unlike
 * a message it cannot quote what was sent.
 */
export function failureCode(error: unknown): string | undefined {
  let code: string | undefined;
  for (let one = error; one instanceof Error; one = one.cause) {
    // A DOMException, such as that of a timeout, has a number.
    if (!(one instanceof SignetError) && "code" in one && typeof one.code === "string") code = one.code;
  }
  return code;
}
