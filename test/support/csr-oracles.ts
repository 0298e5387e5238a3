import { spawn } from "node:child_process";
import "reflect-metadata";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { Oid } from "@signet/shared/oids";
import type { Oracle } from "./csr-tricks/differences.ts";

/** Whether another implementation reads a CSR, and finds its signature good and made by its own key. */
export const oracles: Readonly<Record<Oracle, (pem: string) => Promise<boolean>>> = {
  openssl: takenByOpenssl,
  "@peculiar/x509": takenByPeculiar,
};

function takenByOpenssl(pem: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn("openssl", ["req", "-verify", "-noout"], { stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.once("error", reject);
    // It also ends with 0 where the signature is wrong.
    child.once("close", (code) => resolve(code === 0 && /verify OK/.test(said)));
    // It stops reading where it has seen enough.
    child.stdin.once("error", () => undefined);
    child.stdin.end(pem);
  });
}

async function takenByPeculiar(pem: string): Promise<boolean> {
  try {
    const request = new Pkcs10CertificateRequest(pem);
    const san = request.getExtension(Oid.subjectAltName);
    if (san !== null) new SubjectAlternativeNameExtension(san.rawData);
    return await request.verify();
  } catch {
    return false;
  }
}

/** The key and the URIs that @peculiar/x509 reads in a CSR. */
export function readByPeculiar(pem: string): { readonly spki: string; readonly uris: readonly string[] } {
  const request = new Pkcs10CertificateRequest(pem);
  const san = request.getExtension(Oid.subjectAltName);
  const names = san === null ? [] : new SubjectAlternativeNameExtension(san.rawData).names.items;
  return {
    spki: Buffer.from(request.publicKey.rawData).toString("hex"),
    uris: names.filter(({ type }) => type === "url").map(({ value }) => value),
  };
}
