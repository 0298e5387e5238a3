import { jsonLine } from "@signet/shared/terminal/text";
import { Command } from "commander";
import { ExitCode } from "./exit-codes.ts";
import { inspect } from "./inspect/inspect.ts";
import { readGiven } from "./inspect/read.ts";
import { anyBroken, renderSections } from "./inspect/report.ts";

interface Options {
  readonly caCert?: string;
  readonly json?: true;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .description("make a certificate, CSR, bundle or token readable, and name the SPIFFE rules that it breaks")
    .argument("<file|url|->", "what to look at; - is standard input")
    .option("--ca-cert <file>", "PEM file with the roots that an https server must lead to")
    .option("--json", "for programs")
    .addHelpText(
      "after",
      `
Takes certificates and chains (PEM, DER), CSRs (PEM, DER), trust bundles (PEM, the CA's JSON, SPIFFE JWK Sets and bundle maps),
JWK Sets of issuers, tokens, and what the CA has answered. What it is, is found out. Of an https URL without a path, the
certificates that the server shows are looked at, whether they are trusted or not.

Rules are called X1 to X5 (X509-SVID), I1 to I4 (SPIFFE ID), B1 to B5 (bundles) and J1 to J3 (JWT-SVID); CA stands for what
this CA refuses whoever asks. Signatures of tokens are neither verified nor shown, and private keys are refused.

Exit codes: 0 no rule is broken; 65 one is, or it cannot be read; 69 the file or URL cannot be had; 2 wrong usage.

Examples:
  signet-ca inspect chain.pem
  signet-ca inspect https://ca.example.com/v1/trust-bundle
  signet-ca inspect https://signet-ca.signet-system.svc:8443/.well-known/spiffe-bundle --ca-cert roots.pem
  signet-ca inspect https://ca.example.com:8443
  kubectl create token sleep -n foo --audience signet-ca | signet-ca inspect -`,
    )
    .action(async (what: string, { caCert, json }: Options) => {
      const { bytes, source } = await readGiven(what, { stdin: process.stdin, caCertificate: caCert });
      const sections = await inspect(bytes, source, Date.now() / 1000);
      const ok = !anyBroken(sections);
      process.stdout.write(json === true ? jsonLine({ source, ok, sections }) : renderSections(sections));
      if (!ok) process.exitCode = ExitCode.data;
    });
}
