import type { PublicKeyKind } from "@signet/shared/public-key";
import type { DnsTemplate } from "./dns-template.ts";
import { anyName, matchesPattern, PatternTable } from "./name-patterns.ts";

/** Whom a rule is for. What is left out matches everybody. */
export interface RuleScope {
  /** `iss` of tokens, exactly. */
  readonly issuers?: readonly string[] | undefined;
  /** Exact names, or beginnings with `*` at their end. */
  readonly namespaces?: readonly string[] | undefined;
  readonly serviceAccounts?: readonly string[] | undefined;
}

/** What leaves are like; times in seconds. */
export interface LeafLimits {
  readonly keys: readonly PublicKeyKind[];
  readonly defaultTtlSeconds: number;
  readonly maxTtlSeconds: number;
}

/** What a rule gives. */
export interface Allowance extends LeafLimits {
  readonly dnsNames: readonly DnsTemplate[];
}

export interface Rule extends RuleScope {
  readonly name: string;
  readonly gives: Allowance | "nothing";
}

/** An account as rules see it. */
export interface Account {
  readonly issuer: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const anyIssuer = 0;

/**
 * Finds the first rule that matches. Every combination of an issuer, a namespace pattern and an account pattern that a
 * rule names is a key, which holds the place of the first rule that has it. An account has few keys that match it: its
 * own names, the prefixes of them that stand in some rule, and "any"; the least of the places found is the first rule.
 * So the work depends on how many patterns match the account, not on how many rules there are.
 */
export class RuleTable {
  /** In their order. */
  readonly rules: readonly Rule[];
  readonly #issuers = new Map<string, number>();
  readonly #namespaces = new PatternTable();
  readonly #accounts = new PatternTable();
  readonly #first = new Map<number, number>();

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    // All patterns are numbered first, for the keys are made of how many there are.
    const scopes = rules.map(({ issuers, namespaces = [anyName], serviceAccounts = [anyName] }) => ({
      issuers: issuers?.map((issuer) => this.#numberIssuer(issuer)) ?? [anyIssuer],
      namespaces: namespaces.map((pattern) => this.#namespaces.add(pattern)),
      accounts: serviceAccounts.map((pattern) => this.#accounts.add(pattern)),
    }));
    for (const [place, { issuers, namespaces, accounts }] of scopes.entries()) {
      for (const issuer of issuers) {
        for (const namespace of namespaces) {
          for (const account of accounts) {
            const key = this.#key(issuer, namespace, account);
            if (!this.#first.has(key)) this.#first.set(key, place);
          }
        }
      }
    }
  }

  find({ issuer, namespace, serviceAccount }: Account): Rule | undefined {
    const own = this.#issuers.get(issuer);
    const issuers = own === undefined ? [anyIssuer] : [anyIssuer, own];
    const accounts = this.#accounts.matching(serviceAccount);
    let first = Number.POSITIVE_INFINITY;
    for (const namespaceNumber of this.#namespaces.matching(namespace)) {
      for (const account of accounts) {
        for (const issuerNumber of issuers) {
          const place = this.#first.get(this.#key(issuerNumber, namespaceNumber, account));
          if (place !== undefined && place < first) first = place;
        }
      }
    }
    return this.rules[first];
  }

  #numberIssuer(issuer: string): number {
    const known = this.#issuers.get(issuer);
    if (known !== undefined) return known;
    const number = this.#issuers.size + 1;
    this.#issuers.set(issuer, number);
    return number;
  }

  #key(issuer: number, namespace: number, account: number): number {
    return (issuer * this.#namespaces.size + namespace) * this.#accounts.size + account;
  }
}

/** How many keys a rule takes in a {@link RuleTable}. */
export function combinations({ issuers, namespaces, serviceAccounts }: RuleScope): number {
  return (issuers?.length ?? 1) * (namespaces?.length ?? 1) * (serviceAccounts?.length ?? 1);
}

/**
 * Which part of a rule's scope an account is not in; undefined where the rule matches. What {@link RuleTable} finds,
 * it finds by this.
 */
export function mismatch(scope: RuleScope, account: Account): keyof RuleScope | undefined {
  if (scope.issuers !== undefined && !scope.issuers.includes(account.issuer)) return "issuers";
  const outside = (patterns: readonly string[] | undefined, name: string) =>
    patterns !== undefined && !patterns.some((pattern) => matchesPattern(pattern, name));
  if (outside(scope.namespaces, account.namespace)) return "namespaces";
  return outside(scope.serviceAccounts, account.serviceAccount) ? "serviceAccounts" : undefined;
}
