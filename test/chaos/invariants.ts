import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { decodePem } from "@signet/shared/pem";

/** The pod in whose name a stream was opened. */
export interface WatchedPod {
  readonly name: string;
  readonly uid: string;
  readonly spiffeId: string;
}

export interface PushedSecret {
  readonly name: string;
  readonly kind: "tlsCertificate" | "validationContext";
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
}

/** One response of the agent, as it came. */
export interface Push {
  /** Milliseconds since the epoch, by the true clock. */
  readonly at: number;
  /** One of its own for each stream that was ever opened. */
  readonly stream: string;
  readonly pod: WatchedPod;
  readonly version: string;
  readonly secrets: readonly PushedSecret[];
}

interface InUse {
  readonly serialNumber: string;
  readonly notAfter: number;
  readonly chain: readonly X509Certificate[];
  told: boolean;
}

/**
 * What must hold of every push, whatever else is going on. Certificates are read by Node's own X509Certificate, not by the
 * code under test.
 */
export class Invariants {
  readonly violations: string[] = [];
  pushes = 0;
  secrets = 0;
  /** Different certificates that came, over all pods. */
  readonly serials = new Set<string>();
  readonly #podOfKey = new Map<string, string>();
  readonly #serialOfKey = new Map<string, string>();
  /** By stream: name of a secret to the digest of what was last sent under it, and versions to digests. */
  readonly #streams = new Map<string, { readonly last: Map<string, string>; readonly versions: Map<string, string> }>();
  readonly #versions = new Map<string, string>();
  readonly #contents = new Map<string, string>();
  readonly #roots = new Map<string, readonly X509Certificate[]>();
  readonly #inUse = new Map<string, InUse>();
  readonly #unanchored = new Map<string, readonly X509Certificate[]>();

  take(push: Push): void {
    this.pushes++;
    const broken = (rule: string) => {
      this.violations.push(`${new Date(push.at).toISOString()} ${push.pod.name}, stream ${push.stream}: ${rule}`);
    };
    if (push.secrets.length === 0) broken("an empty push");
    if (push.version === "") broken("a push without a version");
    for (const secret of push.secrets) {
      this.secrets++;
      try {
        if (secret.kind === "tlsCertificate") this.#checkIdentity(push, secret, broken);
        else this.#checkBundle(push, secret, broken);
      } catch (error) {
        broken(`secret ${secret.name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.#checkVersions(push, broken);
  }

  /** Looks for certificates that have run out in the hands of their pods. */
  look(now: number): void {
    for (const [uid, held] of this.#inUse) {
      if (held.told || held.notAfter > now) continue;
      held.told = true;
      this.violations.push(
        `${new Date(now).toISOString()} ${uid}: certificate ${held.serialNumber} has run out in use`,
      );
    }
  }

  /** The pod takes no more secrets. */
  forget(pod: WatchedPod): void {
    this.#inUse.delete(pod.uid);
  }

  /** Whether the pod has this root among those that it was last sent. */
  hasRoot(pod: WatchedPod, root: X509Certificate): boolean {
    return this.#roots.get(pod.uid)?.some(({ fingerprint256 }) => fingerprint256 === root.fingerprint256) ?? false;
  }

  /** The certificates that the pod was last sent, leaf first. */
  chainOf(pod: WatchedPod): readonly X509Certificate[] {
    return this.#inUse.get(pod.uid)?.chain ?? [];
  }

  #checkIdentity({ at, pod }: Push, secret: PushedSecret, broken: (rule: string) => void): void {
    const chain = readCertificates(secret.chain);
    const [leaf] = chain;
    if (leaf === undefined) {
      broken("a chain without a certificate");
      return;
    }
    const key = createPrivateKey(secret.key);
    if (!leaf.checkPrivateKey(key)) broken("the key does not belong to the certificate");
    if (leaf.subjectAltName !== `URI:${pod.spiffeId}`) broken(`the certificate is for ${leaf.subjectAltName}`);
    if (leaf.ca) broken("the certificate is a CA's");
    for (const certificate of chain) {
      if (certificate.validToDate.getTime() <= at) broken(`a certificate that ran out at ${certificate.validTo}`);
      if (certificate.validFromDate.getTime() > at) broken(`a certificate that begins at ${certificate.validFrom}`);
    }
    this.#checkKey(leaf, key, pod, broken);
    this.serials.add(leaf.serialNumber);
    const { serialNumber } = leaf;
    const notAfter = Math.min(...chain.map(({ validToDate }) => validToDate.getTime()));
    if (this.#inUse.get(pod.uid)?.serialNumber !== serialNumber) {
      this.#inUse.set(pod.uid, { serialNumber, notAfter, chain, told: false });
    }
    const roots = this.#roots.get(pod.uid);
    // At the beginning the identity may come before the bundle, which is then held against it.
    if (roots === undefined) this.#unanchored.set(pod.uid, chain);
    else if (!leadsTo(chain, roots)) broken("the chain does not lead to the bundle that was pushed");
  }

  #checkKey(leaf: X509Certificate, key: KeyObject, pod: WatchedPod, broken: (rule: string) => void): void {
    const print = digest(key.export({ type: "pkcs8", format: "der" }));
    const owner = this.#podOfKey.get(print);
    if (owner !== undefined && owner !== pod.uid) broken(`its key was pushed to the pod ${owner} before`);
    this.#podOfKey.set(print, pod.uid);
    const serial = this.#serialOfKey.get(print);
    if (serial !== undefined && serial !== leaf.serialNumber)
      broken(`its key belongs to the certificate ${serial} too`);
    this.#serialOfKey.set(print, leaf.serialNumber);
  }

  #checkBundle({ pod }: Push, secret: PushedSecret, broken: (rule: string) => void): void {
    const roots = readCertificates(secret.roots);
    if (roots.length === 0) broken("a bundle without roots");
    for (const root of roots) {
      if (!root.ca || !root.verify(root.publicKey)) broken("a root that is no self-signed CA");
    }
    this.#roots.set(pod.uid, roots);
    const waiting = this.#unanchored.get(pod.uid);
    this.#unanchored.delete(pod.uid);
    if (waiting !== undefined && !leadsTo(waiting, roots)) broken("the chain from before does not lead to this bundle");
  }

  // A client brings a version from one stream to the next, so that it must mean the same on all of a pod's streams.
  #checkVersions({ pod, secrets, stream, version }: Push, broken: (rule: string) => void): void {
    const seen = this.#streams.get(stream) ?? { last: new Map<string, string>(), versions: new Map<string, string>() };
    this.#streams.set(stream, seen);
    for (const secret of secrets) {
      const print = digest(JSON.stringify(secret));
      if (seen.last.get(secret.name) === print) broken(`${secret.name} is pushed again unchanged`);
      seen.last.set(secret.name, print);
    }
    const names = secrets.map(({ name }) => name).sort();
    const content = digest(JSON.stringify(secrets));
    const place = `${pod.uid} ${names}`;
    const before = this.#versions.get(`${place} ${version}`);
    if (before !== undefined && before !== content) broken(`version ${version} stands for two contents of ${names}`);
    this.#versions.set(`${place} ${version}`, content);
    const other = this.#contents.get(`${place} ${content}`);
    if (other !== undefined && other !== version)
      broken(`one content of ${names} has versions ${other} and ${version}`);
    this.#contents.set(`${place} ${content}`, version);
  }
}

function readCertificates(pem: string): X509Certificate[] {
  return decodePem(pem).map(({ der }) => new X509Certificate(der));
}

/** Whether each certificate is signed by the next one and the last by one of `roots`. */
export function leadsTo(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  const signs = (issuer: X509Certificate, subject: X509Certificate) =>
    subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  return chain.every((certificate, depth) => {
    const next = chain[depth + 1];
    return next === undefined ? roots.some((root) => signs(root, certificate)) : signs(next, certificate);
  });
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}
