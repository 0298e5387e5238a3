import { SignetError } from "./errors.ts";

// SPIFFE-ID §2.1 and §2.4: 255 bytes of trust domain; every implementation must take IDs of up to 2048 bytes.
const maxTrustDomainBytes = 255;
const maxIdBytes = 2_048;
const trustDomainPattern = /^[a-z0-9._-]+$/;
const segmentPattern = /^[a-zA-Z0-9._-]+$/;

/** A trust domain name such as `cluster.local`. Only {@link TrustDomain.parse} makes one, so one in hand is valid. */
export class TrustDomain {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** @throws SignetError `malformed-spiffe-id` */
  static parse(name: string): TrustDomain {
    if (name === "") throw malformed("the trust domain is empty");
    if (name.length > maxTrustDomainBytes) throw malformed(`the trust domain is over ${maxTrustDomainBytes} bytes`);
    if (!trustDomainPattern.test(name)) {
      throw malformed(`the trust domain "${name}" may have only a-z, 0-9, ".", "-" and "_"`);
    }
    return new TrustDomain(name);
  }

  /** The trust domain's own ID, `spiffe://<name>`. */
  get id(): string {
    return `spiffe://${this.name}`;
  }

  toString(): string {
    return this.name;
  }
}

/** A SPIFFE ID. Only the makers below make one, so one in hand is valid. */
export class SpiffeId {
  readonly trustDomain: TrustDomain;
  /** The path with its leading slash, or "" for a trust domain's own ID. */
  readonly path: string;

  private constructor(trustDomain: TrustDomain, path: string) {
    this.trustDomain = trustDomain;
    this.path = path;
  }

  /**
   * Reads an ID by the rules of SPIFFE-ID §2: no port, user, query, fragment or percent-encoding, no empty or dot
   * segment, no slash at the end. The scheme and trust domain are compared without case, then kept in lower case.
   * @throws SignetError `malformed-spiffe-id`
   */
  static parse(text: string): SpiffeId {
    if (text.length > maxIdBytes) throw malformed(`the ID is over ${maxIdBytes} bytes`);
    if (text.slice(0, 9).toLowerCase() !== "spiffe://") throw malformed("the scheme is not spiffe://");
    const rest = text.slice(9);
    const slash = rest.indexOf("/");
    const name = slash === -1 ? rest : rest.slice(0, slash);
    // Only A-Z has a lower case here: that of the Kelvin sign is a "k" too.
    const trustDomain = TrustDomain.parse(name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
    if (slash === -1) return new SpiffeId(trustDomain, "");
    return SpiffeId.fromSegments(trustDomain, rest.slice(slash + 1).split("/"));
  }

  /**
   * An ID made of a trust domain and path segments, each checked and none rewritten.
   * @throws SignetError `malformed-spiffe-id`
   */
  static fromSegments(trustDomain: TrustDomain, segments: readonly string[]): SpiffeId {
    for (const segment of segments) {
      if (segment === "") throw malformed("the path has an empty segment or ends with a slash");
      if (segment === "." || segment === "..") throw malformed("the path has a dot segment");
      if (!segmentPattern.test(segment)) {
        throw malformed(`the path segment "${segment}" may have only letters, digits, ".", "-" and "_"`);
      }
    }
    const id = new SpiffeId(trustDomain, segments.map((segment) => `/${segment}`).join(""));
    if (id.toString().length > maxIdBytes) throw malformed(`the ID is over ${maxIdBytes} bytes`);
    return id;
  }

  equals(other: SpiffeId): boolean {
    return this.toString() === other.toString();
  }

  toString(): string {
    return `spiffe://${this.trustDomain.name}${this.path}`;
  }
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-spiffe-id", `not a SPIFFE ID: ${reason}`);
}
