import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { DataSource } from "../gen/envoy/config/core/v3/base_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { SPIFFECertValidatorConfigSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts";
import { EncodedSecret, type TrustDomainRoots } from "./secret.ts";
import type { Validator } from "./validator.ts";

const own: TrustDomainRoots = { trustDomain: "cluster.local", rootsPem: "own roots" };
const foreign: TrustDomainRoots = { trustDomain: "other.example", rootsPem: "foreign roots" };

const text = (source: DataSource | undefined) =>
  source?.specifier.case === "inlineBytes" ? Buffer.from(source.specifier.value).toString() : undefined;

function context(secret: EncodedSecret, validator: Validator) {
  const { name, type } = fromBinary(SecretSchema, secret.in(validator).encode("ALL"));
  expect(name).toBe("ALL");
  if (type.case !== "validationContext") throw new Error(`a ${type.case}`);
  return type.value;
}

describe("a bundle", () => {
  test("for anybody is plain roots, and those of its own trust domain alone", () => {
    const { trustedCa, customValidatorConfig } = context(EncodedSecret.ofBundle(1, [own, foreign]), "trusted-ca");
    expect(text(trustedCa)).toBe("own roots");
    expect(customValidatorConfig).toBeUndefined();
  });

  test("for Envoy's SPIFFE validator is roots by trust domain, and no plain ones, which would be trusted for all", () => {
    const { trustedCa, customValidatorConfig } = context(EncodedSecret.ofBundle(1, [own, foreign]), "spiffe");
    expect(trustedCa).toBeUndefined();
    expect(customValidatorConfig?.name).toBe("envoy.tls.cert_validator.spiffe");
    expect(customValidatorConfig?.typedConfig?.typeUrl).toBe(
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
    );
    const bytes = customValidatorConfig?.typedConfig?.value ?? expect.fail("no configuration");
    const { trustDomains } = fromBinary(SPIFFECertValidatorConfigSchema, bytes);
    expect(trustDomains.map(({ name, trustBundle }) => [name, text(trustBundle)])).toEqual([
      ["cluster.local", "own roots"],
      ["other.example", "foreign roots"],
    ]);
  });
});

describe("a version", () => {
  const bundle = (sequence: number, ...domains: [TrustDomainRoots, ...TrustDomainRoots[]]) =>
    EncodedSecret.ofBundle(sequence, domains);

  test("is the same for the same content, whoever made it", () => {
    for (const validator of ["trusted-ca", "spiffe"] as const) {
      expect(bundle(1, own).in(validator).version).toBe(bundle(1, own).in(validator).version);
    }
  });

  test("tells contents, sequences and forms apart", () => {
    const versions = [
      bundle(1, own).in("trusted-ca"),
      bundle(1, own).in("spiffe"),
      bundle(2, own).in("trusted-ca"),
      bundle(1, { ...own, rootsPem: "other roots" }).in("trusted-ca"),
      bundle(1, { ...own, trustDomain: "renamed.example" }).in("spiffe"),
      bundle(1, own, foreign).in("spiffe"),
    ].map(({ version }) => version);
    expect(new Set(versions).size).toBe(versions.length);
  });

  test("of a certificate is its serial number in either form", () => {
    const secret = EncodedSecret.ofCertificate("5e71a1", "chain", "key");
    expect(secret.in("spiffe")).toBe(secret.in("trusted-ca"));
    expect(secret.in("spiffe").version).toBe("5e71a1");
  });
});

test("each form is encoded once for each name", () => {
  const secret = EncodedSecret.ofBundle(1, [own]);
  for (const validator of ["trusted-ca", "spiffe"] as const) {
    expect(secret.in(validator).encode("ROOTCA")).toBe(secret.in(validator).encode("ROOTCA"));
    expect(secret.in(validator).encode("ROOTCA")).not.toBe(secret.in(validator).encode("ALL"));
  }
});
