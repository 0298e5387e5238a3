import type { Oddity, Trick } from "./build.ts";
import { contentOddities, contentTricks } from "./contents.ts";
import { encodingTricks } from "./encoding.ts";
import { keyOddities, keyTricks } from "./keys.ts";
import { pemOddities, pemTricks } from "./pem.ts";
import { signatureOddities, signatureTricks } from "./signatures.ts";

/** CSRs that no configuration lets pass, each with what the CA says to it. */
export const csrTricks: readonly Trick[] = [
  ...encodingTricks,
  ...contentTricks,
  ...keyTricks,
  ...signatureTricks,
  ...pemTricks,
];

/** CSRs that look odd, and are good where all kinds of keys are allowed. */
export const csrOddities: readonly Oddity[] = [
  ...contentOddities,
  ...keyOddities,
  ...signatureOddities,
  ...pemOddities,
];
