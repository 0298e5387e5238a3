import { SignetError } from "@signet/shared/errors";
import { isDnsName } from "../dns-name.ts";

const namespacePart = "{namespace}";
const accountPart = "{serviceAccount}";
// A namespace is one label; an account's name is a label where it has no dot and is not too long (RFC 1035 §2.3.4).
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The form of a DNS name that workloads get beside their SPIFFE ID, such as `{serviceAccount}.{namespace}.svc`. The
 * names are whole labels of it, each takes the place of one label exactly, and the last label is fixed: so no choice
 * of a namespace's or an account's name gives, by the same form, the DNS name of another account or another domain.
 */
export class DnsTemplate {
  readonly #labels: readonly string[];

  private constructor(labels: readonly string[]) {
    this.#labels = labels;
  }

  /** @throws SignetError `config-invalid` */
  static parse(text: string): DnsTemplate {
    const template = new DnsTemplate(text.split("."));
    if (/[{}]/.test(template.#labels.at(-1) ?? "")) {
      throw malformed("must end with a fixed label, such as svc, so that no account chooses its own domain");
    }
    if (!isDnsName(template.#fill("n", "a"))) {
      throw malformed(`must be a DNS name in lower case, with ${namespacePart} and ${accountPart} as whole labels`);
    }
    return template;
  }

  /** Whether each namespace has a name of its own by it. */
  get tellsNamespaces(): boolean {
    return this.#labels.includes(namespacePart);
  }

  /** Its number of labels and the namespace's place among them. Forms that agree in it never mix namespaces up. */
  get shape(): string {
    return `${this.#labels.length} ${this.#labels.indexOf(namespacePart)}`;
  }

  /** Whether the DNS name of an account by this form may be that of an account of another namespace by the other. */
  collidesWith(other: DnsTemplate): boolean {
    const others = other.#labels;
    if (!this.tellsNamespaces || !other.tellsNamespaces || this.shape === other.shape) return false;
    return this.#labels.length === others.length && this.#labels.every((one, at) => mayBeSame(one, others[at] ?? ""));
  }

  /** Whether each account of a namespace has a name of its own by it. */
  get tellsAccounts(): boolean {
    return this.#labels.includes(accountPart);
  }

  /**
   * The name of an account; undefined where that account cannot have one: its name has a dot, or is over 63
   * characters, or makes the whole longer than a DNS name may be.
   */
  nameOf(namespace: string, serviceAccount: string): string | undefined {
    if (!label.test(namespace) || (this.tellsAccounts && !label.test(serviceAccount))) return undefined;
    const name = this.#fill(namespace, serviceAccount);
    return isDnsName(name) ? name : undefined;
  }

  toString(): string {
    return this.#labels.join(".");
  }

  #fill(namespace: string, serviceAccount: string): string {
    const filled = this.#labels.map((one) =>
      one === namespacePart ? namespace : one === accountPart ? serviceAccount : one,
    );
    return filled.join(".");
  }
}

/** Whether two labels of forms can become the same: a name can be any label. */
function mayBeSame(one: string, other: string): boolean {
  return one === other || [one, other].some((label) => label === namespacePart || label === accountPart);
}

function malformed(reason: string): SignetError {
  return new SignetError("config-invalid", reason);
}
