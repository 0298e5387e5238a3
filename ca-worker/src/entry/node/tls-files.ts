import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Clock, Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { type ServerCertificate, type TlsContext, type TlsTaker, tlsRules } from "./server-certificate.ts";

/** PEM files for https. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

interface Pair {
  readonly context: TlsContext;
  readonly notAfter: number;
  /** Tells one pair from another. */
  readonly digest: string;
}

/**
 * The pair in two PEM files, read again on every {@link renew}. Files are compared by what is in them: a mounted Secret is
 * swapped by a symbolic link, and times and inodes say nothing sure about that. A pair that is half written keeps the
 * one at hand.
 */
export class TlsFilesCertificate implements ServerCertificate {
  readonly changes = { taken: 0, failed: 0 };
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #pair: Pair;
  #fault = "";

  private constructor(files: TlsFiles, pair: Pair, clock: Clock, logger: Logger) {
    this.#files = files;
    this.#pair = pair;
    this.#clock = clock;
    this.#logger = logger;
    this.#tellExpiry();
  }

  /** @throws SignetError `config-invalid` for files that are none or no pair */
  static async read(files: TlsFiles, clock: Clock, logger: Logger): Promise<TlsFilesCertificate> {
    return new TlsFilesCertificate(files, await readTlsFiles(files), clock, logger);
  }

  get context(): TlsContext {
    return this.#pair.context;
  }

  get notAfter(): number {
    return this.#pair.notAfter;
  }

  async renew(server: TlsTaker): Promise<void> {
    try {
      const pair = await readTlsFiles(this.#files);
      this.#fault = "";
      if (pair.digest === this.#pair.digest) return;
      server.setSecureContext(pair.context);
      this.#pair = pair;
      this.changes.taken++;
      this.#logger.info(
        { event: "tls-files", notAfter: isoTime(pair.notAfter) },
        "the server's certificate is replaced",
      );
      this.#tellExpiry();
    } catch (error) {
      const { message } = asSignetError(error, "config-invalid");
      this.changes.failed++;
      // The same fault again and again is one line, not one every few seconds.
      if (message === this.#fault) return;
      this.#fault = message;
      const fields = { event: "tls-files", error: message, notAfter: isoTime(this.#pair.notAfter) };
      this.#logger.error(
        fields,
        "the files of the server's certificate cannot be used; the one at hand goes on serving",
      );
    }
  }

  #tellExpiry(): void {
    const { notAfter } = this.#pair;
    if (notAfter > this.#clock()) return;
    const fields = { event: "tls-files", file: this.#files.certificate, notAfter: isoTime(notAfter) };
    this.#logger.error(fields, "the server's certificate has expired; clients will refuse it");
  }
}

/** @throws SignetError `config-invalid` naming the file and what is wrong with it, never what is in it */
export async function readTlsFiles({ certificate, key }: TlsFiles): Promise<Pair> {
  const [cert, keyText] = await Promise.all([read("--tls-cert", certificate), read("--tls-key", key)]);
  const leaf = parseFirst("--tls-cert", certificate, cert);
  if (!leaf.checkPrivateKey(parseKey("--tls-key", key, keyText))) {
    const advice = "the server's own certificate must come first in its file";
    throw fault("--tls-key", key, `is not the key of the first certificate in ${certificate}; ${advice}`);
  }
  const context = { cert, key: keyText, ...tlsRules };
  try {
    // What it does not like would otherwise show at a client's first handshake.
    createSecureContext(context);
  } catch (cause) {
    throw fault("--tls-cert", certificate, `cannot be used for TLS: ${readable(cause)}`, cause);
  }
  const digest = createHash("sha256").update(cert).update("\0").update(keyText).digest("base64");
  return { context, notAfter: Date.parse(leaf.validTo) / 1000, digest };
}

async function read(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw fault(flag, path, `cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
}

function parseFirst(flag: string, path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw fault(flag, path, "holds no PEM certificate (-----BEGIN CERTIFICATE-----)", cause);
  }
}

function parseKey(flag: string, path: string, text: string): KeyObject {
  if (text.includes("ENCRYPTED")) throw fault(flag, path, "is encrypted; there is nobody to type its passphrase");
  try {
    return createPrivateKey(text);
  } catch {
    // OpenSSL's own message is left out: it is about a private key.
    throw fault(flag, path, "holds no PEM private key (-----BEGIN PRIVATE KEY-----)");
  }
}

function fault(flag: string, path: string, what: string, cause?: unknown): SignetError {
  return new SignetError("config-invalid", `${flag}: ${path} ${what}`, cause === undefined ? {} : { cause });
}

/** The part of OpenSSL's message that a person can read: `ee key too small`. */
function readable(error: unknown): string {
  const { reason, message } = error as { reason?: string; message: string };
  return reason ?? message;
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
