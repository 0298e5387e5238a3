import { create, toBinary } from "@bufbuild/protobuf";
import { type Secret, SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";

export const secretTypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/** One secret at one moment of its life, encoded once for each name that it is asked for by, however many streams ask. */
export class EncodedSecret {
  /** Differs whenever the content does, and only then. Safe to show. */
  readonly version: string;
  readonly #type: Secret["type"];
  readonly #encoded = new Map<string, Uint8Array>();

  private constructor(version: string, type: Secret["type"]) {
    this.version = version;
    this.#type = type;
  }

  /** @param chainPem leaf first  @param privateKeyPem PKCS#8 */
  static ofCertificate(serialNumber: string, chainPem: string, privateKeyPem: string): EncodedSecret {
    return new EncodedSecret(serialNumber, {
      case: "tlsCertificate",
      value: {
        $typeName: tls("TlsCertificate"),
        certificateChain: inline(chainPem),
        privateKey: inline(privateKeyPem),
      },
    });
  }

  static ofBundle(sequence: number, rootsPem: string): EncodedSecret {
    return new EncodedSecret(`bundle-${sequence}`, {
      case: "validationContext",
      value: { $typeName: tls("CertificateValidationContext"), trustedCa: inline(rootsPem) },
    });
  }

  /** The bytes of the Secret message under this name. */
  encode(name: string): Uint8Array {
    const known = this.#encoded.get(name);
    if (known !== undefined) return known;
    const bytes = toBinary(SecretSchema, create(SecretSchema, { name, type: this.#type }));
    this.#encoded.set(name, bytes);
    return bytes;
  }
}

const tls = <const Name extends string>(name: Name) => `envoy.extensions.transport_sockets.tls.v3.${name}` as const;

const utf8 = new TextEncoder();

const inline = (text: string) => ({
  $typeName: "envoy.config.core.v3.DataSource" as const,
  specifier: { case: "inlineBytes" as const, value: utf8.encode(text) },
});
