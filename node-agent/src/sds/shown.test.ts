import { expect, test } from "vitest";
import { shown } from "./shown.ts";

test.each([
  ["Failed to load private key from <inline>", "Failed to load private key from <inline>"],
  ["mismatch: -----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----", "mismatch: [PEM left out]"],
  ["Bearer eyJhbGciOi.eyJpc3Mi.c2ln for default", "Bearer [token left out] for default"],
  ["x".repeat(5_000), "x".repeat(256)],
])("%.50s is shown as %.50s", (text, expected) => {
  expect(shown(text)).toBe(expected);
});
