import { SignetError } from "./errors.ts";
import { SpiffeId, TrustDomain } from "./spiffe-id.ts";

const namespacePart = "{namespace}";
const accountPart = "{serviceAccount}";

/** How a trust domain names service accounts unless told, as Istio does. */
export const defaultAccountPath = `/ns/${namespacePart}/sa/${accountPart}`;

// What either name may have in it (RFC 1123).
const namesOf: ReadonlyMap<string, RegExp> = new Map([
  [namespacePart, /^[a-z0-9-]+$/],
  [accountPart, /^[a-z0-9.-]+$/],
]);

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

  /** Whether an account may have an ID by this form that another account has by the other, quite different one. */
  collidesWith(other: AccountPath): boolean {
    const others = other.#segments;
    if (other.template === this.template || others.length !== this.#segments.length) return false;
    return this.#segments.every((one, at) => mayBeSame(one, others[at] ?? ""));
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

/** Whether two segments of forms can become the same; any two placeholders can. */
function mayBeSame(one: string, other: string): boolean {
  if (one === other || (namesOf.has(one) && namesOf.has(other))) return true;
  return namesOf.get(one)?.test(other) ?? namesOf.get(other)?.test(one) ?? false;
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-spiffe-id", `the path of a service account's ID ${reason}`);
}
