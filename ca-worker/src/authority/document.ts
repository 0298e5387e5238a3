import { SignetError } from "@signet/shared/errors";
import { validateConfig } from "@signet/shared/faults";
import * as v from "valibot";

/**
 * The authority document: all that the function knows of its authorities, kept in one secret. `chain` goes from the
 * issuing certificate to its root, one PEM block each; the root's key is never in it.
 */
export const authorityDocument = v.strictObject({
  version: v.literal(1),
  /** Grows with every change; the trust bundle carries it. */
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  authorities: v.pipe(
    v.array(
      v.strictObject({
        id: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/)),
        state: v.picklist(["prepared", "active", "retiring", "tainted"]),
        chain: v.pipe(v.array(v.string()), v.minLength(2)),
        key: v.variant("kind", [
          // PKCS#8 DER in base64. For development: whoever reads the document has the key.
          v.strictObject({ kind: v.literal("plain"), pkcs8: v.pipe(v.string(), v.base64()) }),
        ]),
      }),
    ),
    v.check((list) => new Set(list.map(({ id }) => id)).size === list.length, "two authorities have one id"),
    v.check((list) => list.filter(({ state }) => state === "active").length <= 1, "more than one authority is active"),
  ),
});
export type AuthorityDocument = v.InferOutput<typeof authorityDocument>;
export type AuthorityEntry = AuthorityDocument["authorities"][number];

/** @throws SignetError `authority-invalid`, which never quotes the document */
export function parseAuthorityDocument(text: string): AuthorityDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message can hold a piece of the text, and the text holds keys.
    throw new SignetError("authority-invalid", "the authority document is not JSON");
  }
  try {
    return validateConfig(authorityDocument, value, "the authority document");
  } catch (error) {
    const faults = error instanceof Error ? error.message : "";
    throw new SignetError("authority-invalid", faults.replaceAll(/received "[^"]*"/gi, "received another value"));
  }
}
