import type { X509Certificate } from "node:crypto";
import { fromNow, iso } from "@signet/shared/terminal/duration";
import { clean, jsonLine } from "@signet/shared/terminal/text";
import { endOf, fingerprintOf, keyText, nameText, serialOf, startOf } from "../terminal/certificate-text.ts";
import { type Finding, renderFinding } from "../terminal/finding.ts";
import type { CommandIo } from "../terminal/io.ts";
import type { Paint, Terminal } from "../terminal/terminal.ts";
import type { FetchFlags } from "./flags.ts";
import { pemOf, type SeenBundle, type SeenCertificate, type SeenSecret } from "./secrets.ts";

const labelWidth = 10;

/** Lines that show a secret to a person. No private key is among them unless `showKey`. */
function renderSecret(secret: SeenSecret, { paint }: Terminal, now: number, showKey: boolean): string[] {
  return secret.kind === "certificate"
    ? certificateLines(secret, paint, now, showKey)
    : bundleLines(secret, paint, now);
}

function certificateLines(
  { name, chain, privateKeyPem }: SeenCertificate,
  paint: Paint,
  now: number,
  showKey: boolean,
): string[] {
  const [leaf, ...signers] = chain;
  const line = lineWith(paint);
  return [
    `${paint("strong", clean(name))}  certificate and key`,
    line("SPIFFE ID", uriText(leaf)),
    line("serial", serialOf(leaf)),
    line("valid", validity(leaf, now)),
    line("key", `${keyText(leaf)}, private key ${showKey ? "below" : "received and not shown"}`),
    line("issuer", nameText(leaf.issuer)),
    ...signers.map((one, at) => line(at === 0 ? "chain" : "", `${nameText(one.subject)}, ${ends(one, now)}`)),
    ...(showKey ? [privateKeyPem.trimEnd()] : []),
  ];
}

function bundleLines({ domains, form, name }: SeenBundle, paint: Paint, now: number): string[] {
  const line = lineWith(paint);
  const what = form === "spiffe" ? "trust bundle for the SPIFFE validator" : "trust bundle, plain roots";
  return [
    `${paint("strong", clean(name))}  ${what}`,
    ...domains.flatMap(({ roots, trustDomain }) => [
      ...(trustDomain === undefined ? [] : [line("domain", clean(trustDomain))]),
      ...roots.map((root) =>
        line("root", `${nameText(root.subject)}, ${ends(root, now)}, sha256 ${fingerprintOf(root)}`),
      ),
    ]),
  ];
}

const lineWith = (paint: Paint) => (label: string, text: string) =>
  `  ${paint("quiet", label.padEnd(labelWidth))}  ${text}`;

const validity = (one: X509Certificate, now: number) => `${iso(startOf(one))} to ${iso(endOf(one))}, ${ends(one, now)}`;

function ends(certificate: X509Certificate, now: number): string {
  const end = endOf(certificate);
  return `${end <= now ? "EXPIRED" : "ends"} ${fromNow(end, now)}`;
}

// OpenSSL quotes a name that could be mistaken for two (CVE-2021-44532); that is shown as it is.
function uriText({ subjectAltName }: X509Certificate): string {
  if (subjectAltName === undefined) return "none";
  return clean(subjectAltName.replace(/^URI:(?=spiffe:\/\/[^\s,]*$)/, ""));
}

/** The same for programs. */
function describeSecret(secret: SeenSecret, showKey: boolean): object {
  const { name, version } = secret;
  if (secret.kind === "bundle") {
    const domains = secret.domains.map(({ roots, trustDomain }) => ({
      trustDomain: trustDomain ?? null,
      roots: roots.map(describe),
    }));
    return { name, kind: "bundle", version, form: secret.form, domains };
  }
  const [leaf] = secret.chain;
  return {
    name,
    kind: "certificate",
    version,
    subjectAltName: leaf.subjectAltName ?? null,
    keyType: keyText(leaf),
    chain: secret.chain.map(describe),
    ...(showKey ? { privateKey: secret.privateKeyPem } : {}),
  };
}

const describe = (certificate: X509Certificate) => ({
  subject: certificate.subject ?? "",
  issuer: certificate.issuer ?? "",
  serialNumber: serialOf(certificate),
  notBefore: iso(startOf(certificate)),
  notAfter: iso(endOf(certificate)),
  sha256: fingerprintOf(certificate),
  pem: pemOf([certificate]),
});

/** What one piece of output is made of. */
export interface Part {
  readonly socket: string;
  readonly method: string;
  readonly secrets: readonly SeenSecret[];
  readonly faults: readonly Finding[];
  /** Undefined where nobody asked. */
  readonly verification: readonly Finding[] | undefined;
}

/** Writes a part, for a person or as one line of JSON. */
export function show(part: Part, { json, showKey = false, watch }: FetchFlags, { now, out }: CommandIo): void {
  const { faults, method, secrets, socket, verification } = part;
  if (json === true) {
    const document = {
      time: iso(now()),
      socket,
      method,
      secrets: secrets.map((secret) => describeSecret(secret, showKey)),
      faults,
      ...(verification === undefined ? {} : { verification }),
    };
    out.write(jsonLine(document));
    return;
  }
  const blocks = [
    ...(watch === true ? [[out.paint("quiet", iso(now()))]] : []),
    ...secrets.map((secret) => renderSecret(secret, out, now(), showKey)),
    ...(verification === undefined || verification.length === 0
      ? []
      : [[out.paint("strong", "verified"), ...verification.flatMap((finding) => renderFinding(finding, out))]]),
    ...(faults.length === 0 ? [] : [faults.flatMap((finding) => renderFinding(finding, out))]),
  ];
  out.write(`${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n${watch === true ? "\n" : ""}`);
}
