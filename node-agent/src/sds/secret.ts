import { createHash } from "node:crypto";
import type { Validator } from "./validator.ts";
import { encodeText, joined, messageField, type Pieces, textField } from "./wire.ts";

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
    const certificate = [
      ...messageField(1, inlineBytes(encodeText(chainPem))),
      ...messageField(2, inlineBytes(privateKeyPem)),
    ];
    const { dispose, ...form } = encodedOnce(serialNumber, messageField(2, certificate));
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
      const context = validator === "spiffe" ? spiffeValidator(domains) : plainRoots(domains[0]);
      const content = messageField(4, context);
      // Not the bundle's sequence: it grows without a change of the roots, and a CA that was set up anew begins again.
      const digest = createHash("sha256").update(joined(content)).digest("hex").slice(0, 16);
      return encodedOnce(`bundle-${digest}`, content);
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

/** @param content of the Secret message, all but its name */
function encodedOnce(version: string, content: Pieces): SecretForm & { readonly dispose: () => void } {
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
      const bytes = joined([...textField(1, name), ...content]);
      encoded.set(name, bytes);
      return bytes;
    },
  };
}

// A CertificateValidationContext with trusted_ca.
function plainRoots({ rootsPem }: TrustDomainRoots): Pieces {
  return messageField(1, inlineBytes(encodeText(rootsPem)));
}

// A CertificateValidationContext with custom_validator_config, which holds a SPIFFECertValidatorConfig.
function spiffeValidator(domains: readonly TrustDomainRoots[]): Pieces {
  const config = domains.flatMap(({ trustDomain, rootsPem }) =>
    messageField(1, [...textField(1, trustDomain), ...messageField(2, inlineBytes(encodeText(rootsPem)))]),
  );
  const typedConfig = [
    ...textField(1, "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"),
    ...messageField(2, config),
  ];
  return messageField(12, [...textField(1, "envoy.tls.cert_validator.spiffe"), ...messageField(2, typedConfig)]);
}

// A DataSource.
function inlineBytes(content: Uint8Array): Pieces {
  return messageField(2, [content]);
}
