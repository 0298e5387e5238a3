import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
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
    const { trustedCa, customValidatorConfig } = context(EncodedSecret.ofBundle([own, foreign]), "trusted-ca");
    expect(text(trustedCa)).toBe("own roots");
    expect(customValidatorConfig).toBeUndefined();
  });

  test("for Envoy's SPIFFE validator is roots by trust domain, and no plain ones, which would be trusted for all", () => {
    const { trustedCa, customValidatorConfig } = context(EncodedSecret.ofBundle([own, foreign]), "spiffe");
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
  const bundle = (...domains: [TrustDomainRoots, ...TrustDomainRoots[]]) => EncodedSecret.ofBundle(domains);

  test("is the same for the same content, whoever made it", () => {
    for (const validator of ["trusted-ca", "spiffe"] as const) {
      expect(bundle(own).in(validator).version).toBe(bundle(own).in(validator).version);
    }
  });

  test("tells contents and forms apart", () => {
    const versions = [
      bundle(own).in("trusted-ca"),
      bundle(own).in("spiffe"),
      bundle({ ...own, rootsPem: "other roots" }).in("trusted-ca"),
      bundle({ ...own, trustDomain: "renamed.example" }).in("spiffe"),
      bundle(own, foreign).in("spiffe"),
    ].map(({ version }) => version);
    expect(new Set(versions).size).toBe(versions.length);
  });

  test("of a certificate is its serial number in either form", () => {
    const secret = EncodedSecret.ofCertificate("5e71a1", "chain", new TextEncoder().encode("key"));
    expect(secret.in("spiffe")).toBe(secret.in("trusted-ca"));
    expect(secret.in("spiffe").version).toBe("5e71a1");
  });
});

test("secrets are written as the generated code writes them", () => {
  const source = (content: string) => ({ specifier: { case: "inlineBytes" as const, value: Buffer.from(content) } });
  const spiffe = create(SPIFFECertValidatorConfigSchema, {
    trustDomains: [own, foreign].map((one) => ({ name: one.trustDomain, trustBundle: source(one.rootsPem) })),
  });
  const typedConfig = {
    typeUrl: `type.googleapis.com/${SPIFFECertValidatorConfigSchema.typeName}`,
    value: toBinary(SPIFFECertValidatorConfigSchema, spiffe),
  };
  const customValidatorConfig = { name: "envoy.tls.cert_validator.spiffe", typedConfig };
  const cases = [
    {
      ours: EncodedSecret.ofCertificate("1", "chain", Buffer.from("key")).in("spiffe"),
      type: {
        case: "tlsCertificate" as const,
        value: { certificateChain: source("chain"), privateKey: source("key") },
      },
    },
    {
      ours: EncodedSecret.ofBundle([own, foreign]).in("trusted-ca"),
      type: { case: "validationContext" as const, value: { trustedCa: source(own.rootsPem) } },
    },
    {
      ours: EncodedSecret.ofBundle([own, foreign]).in("spiffe"),
      type: { case: "validationContext" as const, value: { customValidatorConfig } },
    },
  ];
  for (const { ours, type } of cases) {
    const theirs = toBinary(SecretSchema, create(SecretSchema, { name: "näme", type }));
    expect(Buffer.from(ours.encode("näme"))).toEqual(Buffer.from(theirs));
  }
});

test("each form is encoded once for each name", () => {
  const secret = EncodedSecret.ofBundle([own]);
  for (const validator of ["trusted-ca", "spiffe"] as const) {
    expect(secret.in(validator).encode("ROOTCA")).toBe(secret.in(validator).encode("ROOTCA"));
    expect(secret.in(validator).encode("ROOTCA")).not.toBe(secret.in(validator).encode("ALL"));
  }
});

test("a key that is disposed of is zeroed wherever it was held, and never sent", () => {
  const key = new TextEncoder().encode("the private key");
  const secret = EncodedSecret.ofCertificate("5e71a1", "chain", key);
  const form = secret.in("trusted-ca");
  const encoded = ["default", "other"].map((name) => form.encode(name));
  for (const bytes of encoded) expect(Buffer.from(bytes).includes("the private key")).toBe(true);
  secret.dispose();
  for (const bytes of [key, ...encoded]) expect(bytes.every((byte) => byte === 0)).toBe(true);
  for (const name of ["default", "new"]) expect(() => form.encode(name)).toThrow(TypeError);
  expect(() => secret.in("spiffe").encode("default")).toThrow(TypeError);
});
