import { execFileSync } from "node:child_process";
import { join } from "node:path";

export interface ServerCertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A server certificate for 127.0.0.1 and localhost that vouches for itself, as PEM files NAME.pem and NAME.key. */
export function makeServerCertificate(folder: string, name: string): ServerCertificateFiles {
  const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-days", "2"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const out = ["-keyout", files.key, "-out", files.certificate];
  execFileSync("openssl", ["req", "-x509", ...key, ...subject, ...out], { stdio: "ignore" });
  return files;
}
