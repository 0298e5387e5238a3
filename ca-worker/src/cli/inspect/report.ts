import { clean } from "@signet/shared/terminal/text";

/** What was found in one thing that was looked at. */
export interface Section {
  readonly title: string;
  /** For programs. */
  readonly kind: string;
  /** In the order to show them; a member that is undefined is left out. Foreign text as it came. */
  readonly facts: Readonly<Record<string, Fact | undefined>>;
  readonly breaks: readonly Broken[];
  readonly notes: readonly string[];
  /** What is inside. */
  readonly parts?: readonly Section[];
}
export type Fact = string | number | boolean | readonly string[];

/** A rule that is broken: one of SPIFFE's (SPIFFE-ID, X509-SVID, trust bundle, JWT-SVID), or of this CA. */
export interface Broken {
  /** Such as `X3`, or `CA` for what this CA refuses. */
  readonly rule: Rule;
  readonly says: string;
}

/** The rules by name, and where they stand. */
export const ruleSources = {
  I1: "SPIFFE-ID §2: scheme spiffe, a trust domain, no user, port, query or fragment",
  I2: "SPIFFE-ID §2.1: a trust domain has a-z 0-9 . - _ and at most 255 bytes",
  I3: "SPIFFE-ID §2.2: path segments have A-Z a-z 0-9 . - _, and none is empty, . or ..",
  I4: "SPIFFE-ID §2: at most 2048 bytes",
  X1: "X509-SVID §2: exactly one URI SAN",
  X2: "X509-SVID §3.1: a leaf's ID has a path, and its SAN is critical where it has no subject",
  X3: "X509-SVID §4.3: critical key usage; a leaf's has digitalSignature and neither keyCertSign nor cRLSign",
  X4: "X509-SVID §4.4: an extended key usage has both serverAuth and clientAuth",
  X5: "X509-SVID §3.2, §4.3: a signing certificate has keyCertSign, and its ID no path",
  B1: "SPIFFE bundle §4.1.3: keys is there, though it may be empty",
  B2: "SPIFFE bundle §4.1.1, §4.1.2: sequence and refresh hint are whole numbers",
  B3: "SPIFFE bundle §4.2: each key has a kty and a use that are known",
  B4: "X509-SVID §6.1: x5c holds one CA certificate, and there is no kid; keys for JWT-SVIDs have one",
  B5: "SPIFFE bundle map: trust_domains is there, and each name once",
  J1: "JWT-SVID §2.1: alg is RS, ES or PS with 256, 384 or 512",
  J2: "JWT-SVID §2, §2.3: the header has alg, kid and typ alone, and typ is JWT or JOSE",
  J3: "JWT-SVID §3: sub is a SPIFFE ID, aud and exp are there",
  CA: "this CA refuses it",
} as const;
export type Rule = keyof typeof ruleSources;

export function anyBroken(sections: readonly Section[]): boolean {
  return sections.some(({ breaks, parts = [] }) => breaks.length > 0 || anyBroken(parts));
}

const labelWidth = 17;

/** For people. Whatever came from outside is made safe for a terminal. */
export function renderSections(sections: readonly Section[], indent = ""): string {
  return sections.map((section) => renderSection(section, indent)).join("\n");
}

function renderSection({ title, facts, breaks, notes, parts = [] }: Section, indent: string): string {
  const lines = [clean(title)];
  const add = (label: string, text: string) => lines.push(`  ${clean(label).padEnd(labelWidth)}  ${clean(text)}`);
  for (const [label, fact] of Object.entries(facts)) {
    if (fact === undefined) continue;
    const texts = Array.isArray(fact) ? fact : [String(fact)];
    for (const [at, text] of texts.entries()) add(at === 0 ? label : "", text);
  }
  for (const [at, { rule, says }] of breaks.entries()) {
    add(`BREAKS ${rule}`, says);
    if (rule !== "CA" && breaks[at + 1]?.rule !== rule) add("", `(${ruleSources[rule]})`);
  }
  for (const note of notes) add("note", note);
  const text = lines.map((line) => `${indent}${line.trimEnd()}\n`).join("");
  return parts.length === 0 ? text : `${text}\n${renderSections(parts, `${indent}  `)}`;
}
