import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { SignetError } from "@signet/shared/errors";
import { encodePem } from "@signet/shared/pem";
import { isLoopbackHost } from "@signet/shared/url";
import { tokenForm } from "./token.ts";

export interface Given {
  readonly bytes: Uint8Array;
  /** What to call it in messages. */
  readonly source: string;
}

export interface ReadOptions {
  readonly stdin: AsyncIterable<Buffer>;
  /** PEM file with the roots that an https server must lead to; the system's without. */
  readonly caCertificate: string | undefined;
}

// A bundle of a hundred roots is under 100 KiB.
const maxBytes = 4 * 1024 * 1024;
const timeoutMs = 10_000;

/**
 * The bytes of FILE, of a URL, or of standard input for `-`. Of an https URL without a path: the certificates that the server
 * shows, which are not verified.
 * @throws SignetError `source-unavailable`; `config-invalid` for what is none of these
 */
export async function readGiven(what: string, { stdin, caCertificate }: ReadOptions): Promise<Given> {
  // It would be in the message below, in the shell's history and in the list of processes.
  if (tokenForm.test(what) && what.length > 40) {
    throw new SignetError(
      "config-invalid",
      "a token is no argument: give its file, or - and the token on standard input",
    );
  }
  if (what === "-") return { bytes: await collect(stdin, "standard input"), source: "standard input" };
  if (!/^[a-z]+:\/\//i.test(what)) {
    try {
      return { bytes: await collect(createReadStream(what), what), source: what };
    } catch (error) {
      throw unreadable(what, error);
    }
  }
  const url = URL.canParse(what) ? new URL(what) : undefined;
  const plain = url?.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url === undefined || url.username !== "" || url.password !== "" || (url.protocol !== "https:" && !plain)) {
    throw new SignetError(
      "config-invalid",
      "give an https URL without a user in it; plain http goes to this machine only",
    );
  }
  // Without the query, in which a signed URL has its secret.
  const source = `${url.origin}${url.pathname}`;
  try {
    if (url.protocol === "https:" && url.pathname === "/") return { bytes: await shownCertificates(url), source };
    const ca = caCertificate === undefined ? undefined : await readFile(caCertificate, "utf8");
    return { bytes: await download(url, ca, source), source };
  } catch (error) {
    throw unreadable(source, error);
  }
}

function unreadable(source: string, error: unknown): SignetError {
  if (error instanceof SignetError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new SignetError("source-unavailable", `${source} cannot be read (${code ?? message})`, { cause: error });
}

async function collect(stream: AsyncIterable<Buffer>, source: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxBytes) throw new SignetError("source-unavailable", `${source} has over ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Redirects are not followed: what is looked at is what was named. */
function download(url: URL, ca: string | undefined, source: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const headers = { accept: "application/json, application/x-pem-file;q=0.9, */*;q=0.1" };
    const options = { headers, agent: false, signal: AbortSignal.timeout(timeoutMs), ...(ca !== undefined && { ca }) };
    const sent = send(url, options, (answer) => {
      const { statusCode = 0 } = answer;
      const isProblem = String(answer.headers["content-type"]).startsWith("application/problem+json");
      if (statusCode === 200 || isProblem) resolve(collect(answer, source));
      else {
        answer.resume();
        reject(new SignetError("source-unavailable", `${source} answers ${statusCode}`));
      }
    });
    sent.once("error", reject);
    sent.end();
  });
}

/** The chain that a TLS server shows, as PEM. */
function shownCertificates({ hostname, port }: URL): Promise<Buffer> {
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
    const options = { host, port: Number(port || 443), rejectUnauthorized: false, timeout: timeoutMs, ...servername };
    const socket = connect(options, () => {
      const seen = new Set<string>();
      let text = "";
      let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      for (; one?.raw !== undefined && !seen.has(one.fingerprint256); one = one.issuerCertificate) {
        seen.add(one.fingerprint256);
        text += encodePem("CERTIFICATE", one.raw);
      }
      socket.destroy();
      resolve(Buffer.from(text));
    });
    socket.once("timeout", () =>
      socket.destroy(new SignetError("source-unavailable", `nothing came within ${timeoutMs / 1000} s`)),
    );
    socket.once("error", reject);
  });
}
