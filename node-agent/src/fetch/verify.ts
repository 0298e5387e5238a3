import { createPrivateKey, type X509Certificate } from "node:crypto";
import { type ParsedCertificate, parseCertificate } from "@signet/shared/certificate";
import { asSignetError } from "@signet/shared/errors";
import { KeyUsageBit, Oid } from "@signet/shared/oids";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { fromNow, iso } from "@signet/shared/terminal/duration";
import { endOf, nameText, startOf } from "../terminal/certificate-text.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import type { SeenBundle, SeenCertificate } from "./secrets.ts";

// Renewed at 60 % of its life at the latest, a certificate has never less than this left.
const smallestShareLeft = 0.25;

/** How to mend what only the agent or the CA can have done wrong. */
const askTheAgent = "the agent or its CA is at fault; see signet-agent status and the agent's log";

/**
 * Holds a certificate against its key, the bundle and the rules of X509-SVID (X1 to X6 are §2 to §5 there). Chains are
 * followed by OpenSSL here, not by the agent's own code, so that one finds the other's mistakes.
 */
export function verify(certificate: SeenCertificate, bundle: SeenBundle | undefined, now: number): Finding[] {
  const { chain } = certificate;
  const parsed = chain.map(parse);
  const unreadable = parsed.flatMap((one, at) =>
    typeof one === "string" ? [fail(`certificate ${at + 1} of the chain: ${one}`, askTheAgent)] : [],
  );
  const [leaf, ...signers] = parsed.filter((one) => typeof one !== "string");
  return [
    keyFits(certificate),
    ...validNow(chain, now),
    ...(unreadable.length > 0 || leaf === undefined
      ? unreadable
      : [...svidRules(leaf), ...signerRules(signers), leadsToBundle(chain, parsed, idOf(leaf), bundle, now)]),
  ];
}

function parse(certificate: X509Certificate): ParsedCertificate | string {
  try {
    return parseCertificate(certificate.raw);
  } catch (error) {
    return asSignetError(error, "malformed-certificate").message;
  }
}

function keyFits({ chain: [leaf], privateKeyPem }: SeenCertificate): Finding {
  try {
    if (leaf.checkPrivateKey(createPrivateKey(privateKeyPem))) return ok("the private key is the certificate's");
    return fail("the private key is not the certificate's", askTheAgent);
  } catch {
    // The reason may quote the key.
    return fail("the private key cannot be read", askTheAgent);
  }
}

function validNow(chain: readonly X509Certificate[], now: number): Finding[] {
  return chain.map((certificate, at) => {
    const what = at === 0 ? "the certificate" : `certificate ${at + 1} of the chain`;
    const [start, end] = [startOf(certificate), endOf(certificate)];
    const clock = "compare this machine's clock with the CA's (signet-agent doctor), then see signet-agent status";
    if (end <= now) return fail(`${what} expired ${fromNow(end, now)}, ${iso(end)}`, clock);
    if (start > now) return fail(`${what} is valid only ${fromNow(start, now)}, ${iso(start)}`, clock);
    if (at === 0 && (end - now) / (end - start) < smallestShareLeft) {
      return warn(`${what} ends ${fromNow(end, now)} and should have been renewed`, "see signet-agent status for why");
    }
    return ok(`${what} is valid now and ends ${fromNow(end, now)}`);
  });
}

function idOf(leaf: ParsedCertificate): SpiffeId | string {
  const uris = leaf.subjectAltName?.uris ?? [];
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return `it has ${uris.length} URI names, exactly one is required`;
  try {
    return SpiffeId.parse(uri);
  } catch (error) {
    return asSignetError(error, "malformed-spiffe-id").message;
  }
}

function svidRules(leaf: ParsedCertificate): Finding[] {
  const { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } = leaf;
  const id = idOf(leaf);
  const rule = (name: string, holds: string, broken: (string | false)[]): Finding => {
    const found = broken.filter((one) => one !== false);
    return found.length === 0 ? ok(`${name} ${holds}`) : fail(`${name} ${found.join("; ")}`, askTheAgent);
  };
  const has = (bit: number) => keyUsage?.bits[bit] === true;
  return [
    rule("X1", "exactly one URI name, a SPIFFE ID", [typeof id === "string" && id]),
    rule("X2", "a leaf: its SPIFFE ID has a path, it is no CA, its name is marked critical where it must be", [
      typeof id !== "string" && id.path === "" && "the SPIFFE ID has no path: it names a trust domain, no workload",
      basicConstraints?.isCa === true && "the certificate is a CA's",
      leaf.subject.length === 2 && subjectAltName?.critical !== true && "no subject, and the URI name is not critical",
    ]),
    rule("X3", "key usage is critical and has digitalSignature, neither keyCertSign nor cRLSign", [
      keyUsage === undefined && "key usage is missing",
      keyUsage !== undefined && !keyUsage.critical && "key usage is not critical",
      keyUsage !== undefined && !has(KeyUsageBit.digitalSignature) && "key usage lacks digitalSignature",
      has(KeyUsageBit.keyCertSign) && "key usage has keyCertSign",
      has(KeyUsageBit.cRLSign) && "key usage has cRLSign",
    ]),
    rule("X4", "extended key usage has serverAuth and clientAuth, or is left out", [
      extendedKeyUsage !== undefined && !extendedKeyUsage.includes(Oid.serverAuth) && "serverAuth is missing",
      extendedKeyUsage !== undefined && !extendedKeyUsage.includes(Oid.clientAuth) && "clientAuth is missing",
    ]),
  ];
}

function signerRules(signers: readonly ParsedCertificate[]): Finding[] {
  const broken = signers.flatMap(({ basicConstraints, keyUsage, subjectAltName }, at) => {
    const what = `certificate ${at + 2} of the chain`;
    const uris = subjectAltName?.uris ?? [];
    return [
      basicConstraints?.isCa !== true && `${what} is no CA`,
      keyUsage?.bits[KeyUsageBit.keyCertSign] !== true && `${what} lacks keyCertSign`,
      uris.some((uri) => /^spiffe:\/\/[^/]+\/./.test(uri)) && `${what} has a SPIFFE ID with a path`,
      // The certificates between it and the leaf.
      (basicConstraints?.pathLength ?? at) < at &&
        `${what} allows ${basicConstraints?.pathLength} CAs below it, has ${at}`,
    ].filter((one) => one !== false);
  });
  if (broken.length > 0) return [fail(`X5 ${broken.join("; ")}`, askTheAgent)];
  return signers.length === 0 ? [] : [ok("X5 each signing certificate is a CA with keyCertSign and no workload's ID")];
}

function leadsToBundle(
  chain: readonly X509Certificate[],
  parsed: readonly (ParsedCertificate | string)[],
  id: SpiffeId | string,
  bundle: SeenBundle | undefined,
  now: number,
): Finding {
  if (bundle === undefined) {
    return fail("X6 no bundle came to hold the chain against", "say what it is called here with --bundle-name");
  }
  for (const [at, certificate] of chain.slice(0, -1).entries()) {
    const next = chain[at + 1];
    if (next !== undefined && !signed(certificate, next)) {
      return fail(`X6 certificate ${at + 2} of the chain did not sign the one before`, askTheAgent);
    }
  }
  const domain = typeof id === "string" ? undefined : id.trustDomain.name;
  const roots = bundle.domains
    .filter(({ trustDomain }) => trustDomain === undefined || trustDomain === domain)
    .flatMap(({ roots: own }) => own);
  if (roots.length === 0) return fail(`X6 the bundle has no root for the trust domain ${domain ?? "?"}`, askTheAgent);
  const last = chain[chain.length - 1];
  const below = parsed.length - 1;
  const root = roots.find((one) => last !== undefined && signed(last, one) && allows(one, below));
  if (root === undefined) {
    return fail(
      "X6 the chain leads to no root of the bundle",
      "compare the roots above with the CA's: curl CA/v1/trust-bundle; the agent learns new ones within its refresh hint",
    );
  }
  const [start, end] = [startOf(root), endOf(root)];
  if (end <= now || start > now) return fail(`X6 the root ${nameText(root.subject)} is not valid now`, askTheAgent);
  return ok(`X6 the chain leads to the root ${nameText(root.subject)} of the bundle`);
}

function signed(subject: X509Certificate, issuer: X509Certificate): boolean {
  return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function allows(root: X509Certificate, below: number): boolean {
  const read = parse(root);
  const pathLength = typeof read === "string" ? undefined : read.basicConstraints?.pathLength;
  return pathLength === undefined || pathLength >= below;
}
