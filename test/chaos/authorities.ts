import { X509Certificate } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { AuthorityDocument, AuthorityEntry } from "@signet/ca/authority/document";
import { makeAuthority } from "@signet/ca/authority/make/authority";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { trustDomain } from "../support/ca-config.ts";
import type { Random } from "./random.ts";
import type { SigningAuthority } from "./wrong-answers.ts";

const day = 86_400;

/** What a step must not be taken without: a root is published before it is signed under, and goes after its last leaf. */
export interface StepConditions {
  /** Every workload trusts this root. */
  readonly trusted: (root: X509Certificate) => Promise<boolean>;
  /** Some workload still shows a certificate under this root. */
  readonly inUse: (root: X509Certificate) => Promise<boolean>;
}

/** The CA's authority document, taken through prepare, activate, retire or taint, and remove, over and over. */
export class Authorities {
  readonly unknown: SigningAuthority;
  readonly #file: string;
  readonly #random: Random;
  #document: AuthorityDocument;
  #made = 2;

  private constructor(file: string, random: Random, first: AuthorityDocument, unknown: SigningAuthority) {
    this.#file = file;
    this.#random = random;
    this.#document = first;
    this.unknown = unknown;
    this.#write();
  }

  static async create(file: string, random: Random): Promise<Authorities> {
    await mkdir(dirname(file), { recursive: true });
    return new Authorities(file, random, await make(1), await makeUnknown());
  }

  get active(): SigningAuthority {
    return signing(this.#find("active") as AuthorityEntry);
  }

  get sequence(): number {
    return this.#document.sequence;
  }

  /** Takes the next step that is safe; says which, or what it waits for. The CA reads it when it starts. */
  async step({ trusted, inUse }: StepConditions): Promise<string> {
    const active = this.#find("active") as AuthorityEntry;
    const prepared = this.#find("prepared");
    const leaving = this.#find("retiring") ?? this.#find("tainted");
    if (leaving !== undefined) {
      if (await inUse(rootOf(leaving))) return `nothing: ${leaving.id} is still in use`;
      this.#become([active]);
      return `${leaving.id} is removed`;
    }
    if (prepared === undefined) {
      const { authorities } = await make(++this.#made);
      this.#become([active, { ...(authorities[0] as AuthorityEntry), state: "prepared" }]);
      return `${authorities[0]?.id} is prepared`;
    }
    if (!(await trusted(rootOf(prepared)))) return `nothing: ${prepared.id} is not known everywhere yet`;
    const state = this.#random.pick(["retiring", "tainted"]);
    this.#become([
      { ...active, state },
      { ...prepared, state: "active" },
    ]);
    return `${prepared.id} is active, ${active.id} ${state}`;
  }

  #become(authorities: AuthorityEntry[]): void {
    this.#document = { ...this.#document, sequence: this.#document.sequence + 1, authorities };
    this.#write();
  }

  #find(state: AuthorityEntry["state"]): AuthorityEntry | undefined {
    return this.#document.authorities.find((entry) => entry.state === state);
  }

  #write(): void {
    writeFileSync(`${this.#file}.next`, JSON.stringify(this.#document), { mode: 0o600 });
    renameSync(`${this.#file}.next`, this.#file);
  }
}

/** An authority that is in no document. */
export async function makeUnknown(): Promise<SigningAuthority> {
  return signing((await make(2)).authorities[0] as AuthorityEntry);
}

/** The day is in the names: each authority is from another one. */
async function make(daysAgo: number): Promise<AuthorityDocument> {
  const now = Math.floor(Date.now() / 1_000) - daysAgo * day;
  const { document } = await makeAuthority({ trustDomain: TrustDomain.parse(trustDomain), now });
  return document;
}

function rootOf({ chain }: AuthorityEntry): X509Certificate {
  return new X509Certificate(chain.at(-1) ?? "");
}

function signing({ chain, key }: AuthorityEntry): SigningAuthority {
  return { chain, pkcs8: key.pkcs8 };
}
