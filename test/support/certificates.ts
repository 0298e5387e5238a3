import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { encodePem } from "@signet/shared/pem";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate with its key, as a TLS client of Node takes them. */
export interface ClientIdentity {
  readonly key: string;
  /** Leaf and intermediates. */
  readonly cert: string;
}

async function makeKeys(): Promise<{ pair: CryptoKeyPair; pem: string }> {
  const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", pair.privateKey);
  return { pair, pem: encodePem("PRIVATE KEY", new Uint8Array(pkcs8)) };
}

/** An identity with the right name from a CA that nobody here trusts. */
export async function makeForeignIdentity(spiffeId: string): Promise<ClientIdentity> {
  const [ca, leaf] = [await makeKeys(), await makeKeys()];
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(Date.now() + 3_600_000);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Another CA",
    keys: ca.pair,
    signingAlgorithm: algorithm,
    ...{ notBefore, notAfter },
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const certificate = await X509CertificateGenerator.create({
    subject: "CN=stranger",
    issuer: root.subject,
    publicKey: leaf.pair.publicKey,
    signingKey: ca.pair.privateKey,
    signingAlgorithm: algorithm,
    ...{ notBefore, notAfter },
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: "url", value: spiffeId }]),
    ],
  });
  return { key: leaf.pem, cert: `${certificate.toString("pem")}\n${root.toString("pem")}\n` };
}

/** An identity from our own CA, asked for over HTTP as the agent does. */
export async function requestIdentity(
  caUrl: string,
  tokens: { readonly pod: string; readonly node: string },
): Promise<ClientIdentity> {
  const keys = await makeKeys();
  const csr = await Pkcs10CertificateRequestGenerator.create({ keys: keys.pair, signingAlgorithm: algorithm });
  const response = await fetch(`${caUrl}/v1/certificates`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${tokens.pod}`,
      [nodeTokenHeader]: tokens.node,
      "content-type": "application/json",
    },
    body: JSON.stringify({ csr: csr.toString("pem") }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (response.status !== 201) throw new RefusedError(response.status, text);
  const { certificateChain } = JSON.parse(text) as { certificateChain: string[] };
  return { key: keys.pem, cert: certificateChain.join("") };
}

/** The CA's refusal, with its status. */
class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(`the CA answers ${status}: ${text}`);
    this.status = status;
  }
}
