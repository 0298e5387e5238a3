import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { expect, test } from "vitest";
import { createCsr } from "./csr.ts";
import { generateKey } from "./key.ts";

test("OpenSSL accepts it: own key, good signature, no subject, the SPIFFE ID as the one name", () => {
  const key = generateKey();
  const csr = createCsr(key, SpiffeId.parse("spiffe://cluster.local/ns/foo/sa/sleep"));
  const args = ["req", "-verify", "-noout", "-text", "-pubkey"];
  const text = execFileSync("openssl", args, { input: csr, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
  expect(text).toContain("URI:spiffe://cluster.local/ns/foo/sa/sleep");
  expect(text).toMatch(/Subject: *\n/);
  expect(text).toContain("prime256v1");
  const publicKey = /-----BEGIN PUBLIC KEY-----[\s\S]+-----END PUBLIC KEY-----/.exec(text)?.[0] ?? "";
  expect(createPublicKey(createPrivateKey(Buffer.from(key.writePrivateKey()))).equals(createPublicKey(publicKey))).toBe(
    true,
  );
});
