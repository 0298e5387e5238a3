import { create, toBinary } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { secretTypeUrl } from "../sds/secret.ts";
import { readSecret } from "./secrets.ts";

function outcome(value: Uint8Array): unknown {
  try {
    return readSecret({ typeUrl: secretTypeUrl, value }, "1");
  } catch (error) {
    return error;
  }
}

const isRefusal = (result: unknown) => result instanceof SignetError && result.code === "malformed-request";

test("whatever bytes a server sends are read, or refused as malformed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const result = outcome(bytes);
      expect(isRefusal(result), String(result)).toBe(true);
    }),
  );
});

test("whatever text stands for a chain, a key or roots, a refusal does not quote the key", () => {
  const text = fc.oneof(fc.string(), fc.constant("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"));
  const source = (inline: string) => ({ specifier: { case: "inlineString" as const, value: inline } });
  fc.assert(
    fc.property(text, text, (chain, roots) => {
      const privateKey = source("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
      const secrets = [
        { case: "tlsCertificate" as const, value: { certificateChain: source(chain), privateKey } },
        { case: "validationContext" as const, value: { trustedCa: source(roots) } },
      ];
      for (const type of secrets) {
        const result = outcome(toBinary(SecretSchema, create(SecretSchema, { name: "default", type })));
        expect(isRefusal(result), String(result)).toBe(true);
        expect(String(result)).not.toContain("c2VjcmV0");
      }
    }),
  );
});
