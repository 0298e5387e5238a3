import { X509Certificate } from "node:crypto";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { decodePem, encodePem } from "@signet/shared/pem";
import type { DataSource } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { CertificateValidationContext } from "../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { SPIFFECertValidatorConfigSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts";
import { secretTypeUrl } from "../sds/secret.ts";
import type { Validator } from "../sds/validator.ts";

/** A key with its chain, as a client got it. */
export interface SeenCertificate {
  readonly kind: "certificate";
  readonly name: string;
  readonly version: string;
  /** Leaf first. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
  readonly privateKeyPem: string;
}

/** The roots of one trust domain; plain roots come without its name. */
export interface SeenRoots {
  readonly trustDomain: string | undefined;
  readonly roots: readonly X509Certificate[];
}

export interface SeenBundle {
  readonly kind: "bundle";
  readonly name: string;
  readonly version: string;
  readonly form: Validator;
  readonly domains: readonly SeenRoots[];
}

export type SeenSecret = SeenCertificate | SeenBundle;

/**
 * Reads one resource of a response.
 * @throws SignetError `malformed-request` when it is no secret that an Envoy could use
 */
export function readSecret(
  resource: { readonly typeUrl: string; readonly value: Uint8Array },
  version: string,
): SeenSecret {
  if (resource.typeUrl !== secretTypeUrl) throw unusable(`it is a ${JSON.stringify(resource.typeUrl)}, no secret`);
  const { name, type } = decode(SecretSchema, resource.value);
  try {
    if (type.case === "tlsCertificate") {
      const { certificateChain, privateKey } = type.value;
      const [leaf, ...rest] = readCertificates(textOf(certificateChain));
      if (leaf === undefined) throw unusable("its chain is empty");
      return { kind: "certificate", name, version, chain: [leaf, ...rest], privateKeyPem: textOf(privateKey) };
    }
    if (type.case === "validationContext") return { kind: "bundle", name, version, ...readContext(type.value) };
  } catch (error) {
    throw unusable(`${JSON.stringify(name)}: ${asSignetError(error, "malformed-request").message}`);
  }
  throw unusable(`${JSON.stringify(name)} is neither a certificate nor a bundle`);
}

/**
 * Reads a message of a server.
 * @throws SignetError `malformed-request`
 */
export function decode<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new SignetError("malformed-request", `what answers does not speak SDS: not a ${schema.typeName}`, { cause });
  }
}

/** PEM of certificates. */
export function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map(({ raw }) => encodePem("CERTIFICATE", raw)).join("");
}

function readContext(context: CertificateValidationContext): Pick<SeenBundle, "form" | "domains"> {
  const { customValidatorConfig: custom, trustedCa } = context;
  if (custom === undefined) {
    return { form: "trusted-ca", domains: [{ trustDomain: undefined, roots: readCertificates(textOf(trustedCa)) }] };
  }
  if (custom.typedConfig?.typeUrl !== `type.googleapis.com/${SPIFFECertValidatorConfigSchema.typeName}`) {
    throw unusable(`its validator ${JSON.stringify(custom.name)} is not known here`);
  }
  const { trustDomains } = decode(SPIFFECertValidatorConfigSchema, custom.typedConfig.value);
  return {
    form: "spiffe",
    domains: trustDomains.map(({ name, trustBundle }) => ({
      trustDomain: name,
      roots: readCertificates(textOf(trustBundle)),
    })),
  };
}

function readCertificates(pem: string): X509Certificate[] {
  return decodePem(pem).map(({ label, der }) => {
    if (label !== "CERTIFICATE") throw unusable(`a ${label} stands where a certificate is expected`);
    return new X509Certificate(der);
  });
}

function textOf(source: DataSource | undefined): string {
  const specifier = source?.specifier;
  if (specifier?.case === "inlineBytes") return Buffer.from(specifier.value).toString("utf8");
  if (specifier?.case === "inlineString") return specifier.value;
  throw unusable(
    specifier?.case === undefined ? "a part is missing" : "it names a file instead of holding its contents",
  );
}

function unusable(reason: string): SignetError {
  return new SignetError("malformed-request", `a resource cannot be used: ${reason}`);
}
