/** Kinds of public key that a leaf can have, by the names that the configuration uses. */
export const publicKeyKinds = ["p256", "p384", "ed25519", "rsa"] as const;
export type PublicKeyKind = (typeof publicKeyKinds)[number];
