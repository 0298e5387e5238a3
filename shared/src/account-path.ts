import { SignetError } from "./errors.ts";
import { SpiffeId, TrustDomain } from "./spiffe-id.ts";

const namespacePart = "{namespace}";
const accountPart = "{serviceAccount}";

/** How a trust domain names service accounts unless told, as Istio does. */
export const defaultAccountPath = `/ns/${namespacePart}/sa/${accountPart}`;

const anyTrustDomain = TrustDomain.parse("td");

/**
 * The form of the SPIFFE ID's path that service accounts have in a trust domain, such as
 * `/ns/{namespace}/sa/{serviceAccount}`. Both names are whole segments of it: two accounts never have one ID.
 */
export class AccountPath {
  readonly template: string;
  readonly #segments: readonly string[];

  private constructor(template: string, segments: readonly string[]) {
    this.template = template;
    this.#segments = segments;
  }

  /** @throws SignetError `malformed-spiffe-id` */
  static parse(template: string): AccountPath {
    const [beginning, ...segments] = template.split("/");
    if (beginning !== "") throw malformed('must begin with "/"');
    for (const part of [namespacePart, accountPart]) {
      if (segments.filter((segment) => segment === part).length !== 1) {
        throw malformed(`must have ${part} once, as a whole segment`);
      }
    }
    // Valid names in the place of both show whether the rest is valid too.
    SpiffeId.fromSegments(anyTrustDomain, fill(segments, "n", "a"));
    return new AccountPath(template, segments);
  }

  /**
   * The ID of a service account.
   * @throws SignetError `malformed-spiffe-id` for names that no path can have
   */
  idOf(trustDomain: TrustDomain, namespace: string, serviceAccount: string): SpiffeId {
    return SpiffeId.fromSegments(trustDomain, fill(this.#segments, namespace, serviceAccount));
  }

  toString(): string {
    return this.template;
  }
}

function fill(segments: readonly string[], namespace: string, serviceAccount: string): string[] {
  return segments.map((segment) =>
    segment === namespacePart ? namespace : segment === accountPart ? serviceAccount : segment,
  );
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-spiffe-id", `the path of a service account's ID ${reason}`);
}
