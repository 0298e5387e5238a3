import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Secret, SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { SPIFFECertValidatorConfigSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts";
import type { Validator } from "./validator.ts";

export const secretTypeUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/** The roots of one trust domain. */
export interface TrustDomainRoots {
  /** Without spiffe://. */
  readonly trustDomain: string;
  readonly rootsPem: string;
}

/** One secret in the form for one kind of client. */
export interface SecretForm {
  /**
   * Differs whenever the content does, and only then: between streams and between starts of the agent too, because
   * clients bring it back to a new stream. Safe to show.
   */
  readonly version: string;
  /** The bytes of the Secret message under this name; made once for each name. */
  encode(name: string): Uint8Array;
}

/** One secret at one moment of its life, encoded once for each form and name, however many streams ask. */
export class EncodedSecret {
  readonly #make: (validator: Validator) => SecretForm;
  readonly #made = new Map<Validator, SecretForm>();
  /** Zeroes what is held of a private key. It must not be asked for its bytes any more. */
  readonly dispose: () => void;

  private constructor(make: (validator: Validator) => SecretForm, dispose = () => {}) {
    this.#make = make;
    this.dispose = dispose;
  }

  /**
   * @param chainPem leaf first
   * @param privateKeyPem PKCS#8; from here on it is the secret's, which zeroes it in the end
   */
  static ofCertificate(serialNumber: string, chainPem: string, privateKeyPem: Uint8Array): EncodedSecret {
    const { dispose, ...form } = encodedOnce(serialNumber, {
      case: "tlsCertificate",
      value: {
        $typeName: tls("TlsCertificate"),
        certificateChain: inline(chainPem),
        privateKey: inline(privateKeyPem),
      },
    });
    return new EncodedSecret(
      () => form,
      () => {
        privateKeyPem.fill(0);
        dispose();
      },
    );
  }

  /**
   * @param domains the caller's own first. Plain roots cannot be told apart by trust domain, so that any of them could
   * vouch for every name: that form has the roots of the first domain alone.
   */
  static ofBundle(domains: readonly [TrustDomainRoots, ...TrustDomainRoots[]]): EncodedSecret {
    return new EncodedSecret((validator) => {
      const type = validator === "spiffe" ? spiffeContext(domains) : plainContext(domains[0]);
      // Not the bundle's sequence: it grows without a change of the roots, and a CA that was set up anew begins again.
      const content = toBinary(SecretSchema, create(SecretSchema, { type }));
      const digest = createHash("sha256").update(content).digest("hex").slice(0, 16);
      return encodedOnce(`bundle-${digest}`, type);
    });
  }

  in(validator: Validator): SecretForm {
    const known = this.#made.get(validator);
    if (known !== undefined) return known;
    const form = this.#make(validator);
    this.#made.set(validator, form);
    return form;
  }
}

function encodedOnce(version: string, type: Secret["type"]): SecretForm & { readonly dispose: () => void } {
  // Only names that stand for this secret are ever asked of it, so this stays as small as their number.
  const encoded = new Map<string, Uint8Array>();
  let disposed = false;
  return {
    version,
    dispose: () => {
      disposed = true;
      for (const bytes of encoded.values()) bytes.fill(0);
      encoded.clear();
    },
    encode: (name) => {
      if (disposed) throw new TypeError("a secret that was replaced is not sent");
      const known = encoded.get(name);
      if (known !== undefined) return known;
      const bytes = toBinary(SecretSchema, create(SecretSchema, { name, type }));
      encoded.set(name, bytes);
      return bytes;
    },
  };
}

function plainContext({ rootsPem }: TrustDomainRoots): Secret["type"] {
  return {
    case: "validationContext",
    value: { $typeName: tls("CertificateValidationContext"), trustedCa: inline(rootsPem) },
  };
}

function spiffeContext(domains: readonly TrustDomainRoots[]): Secret["type"] {
  const config = create(SPIFFECertValidatorConfigSchema, {
    trustDomains: domains.map(({ trustDomain, rootsPem }) => ({ name: trustDomain, trustBundle: inline(rootsPem) })),
  });
  return {
    case: "validationContext",
    value: {
      $typeName: tls("CertificateValidationContext"),
      customValidatorConfig: {
        $typeName: "envoy.config.core.v3.TypedExtensionConfig",
        name: "envoy.tls.cert_validator.spiffe",
        typedConfig: {
          $typeName: "google.protobuf.Any",
          typeUrl: `type.googleapis.com/${SPIFFECertValidatorConfigSchema.typeName}`,
          value: toBinary(SPIFFECertValidatorConfigSchema, config),
        },
      },
    },
  };
}

const tls = <const Name extends string>(name: Name) => `envoy.extensions.transport_sockets.tls.v3.${name}` as const;

const utf8 = new TextEncoder();

const inline = (content: string | Uint8Array) => ({
  $typeName: "envoy.config.core.v3.DataSource" as const,
  specifier: { case: "inlineBytes" as const, value: typeof content === "string" ? utf8.encode(content) : content },
});
