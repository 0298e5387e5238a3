import type { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { fromNow } from "@signet/shared/terminal/duration";
import { endOf, nameText, startOf } from "../terminal/certificate-text.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { reasonOf } from "./section.ts";

// Servers' certificates are renewed with a third of their life left, or earlier, wherever that is done by a program.
const smallestShareLeft = 0.1;

export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** PEM of the CAs that may vouch for the server; undefined: Node's own list. */
  readonly roots: string | undefined;
  readonly withinMilliseconds: number;
}

/** Looks at a server's certificate over a connection of its own, which is not used for anything else. */
export async function examineTls(target: TlsTarget, now: number): Promise<Finding[]> {
  let socket: TLSSocket;
  try {
    socket = await open(target);
  } catch (error) {
    return [
      fail(
        `no TLS handshake: ${reasonOf(error)}`,
        "does this port speak TLS 1.2 or newer? is a proxy or load balancer in between?",
      ),
    ];
  }
  try {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return [fail("the server shows no certificate")];
    const what = `certificate ${nameText(certificate.subject)}, issued by ${nameText(certificate.issuer)}`;
    const problem = socket.authorized ? undefined : reasonOf(socket.authorizationError);
    const trust =
      problem === undefined
        ? ok(`${socket.getProtocol()}, ${what}: accepted`)
        : explain(problem, what, target, certificate);
    return [trust, ...examineLife(certificate, now, problem)];
  } finally {
    socket.destroy();
  }
}

function open({ host, port, roots, withinMilliseconds }: TlsTarget): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      // Names only, not addresses (RFC 6066 §3).
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(roots === undefined ? {} : { ca: roots }),
      minVersion: "TLSv1.2",
      // What is wrong with it is to be told, all of it; nothing is sent over this connection.
      rejectUnauthorized: false,
    });
    socket.setTimeout(withinMilliseconds, () =>
      socket.destroy(new Error(`not done within ${withinMilliseconds / 1_000} s`)),
    );
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the server closed the connection")));
  });
}

function explain(code: string, what: string, { host, roots }: TlsTarget, certificate: X509Certificate): Finding {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return fail(
      `${what}: it is not for ${host}, but for ${certificate.subjectAltName ?? "no name at all"}`,
      `ask the CA under one of these names in --ca-url, or give its server a certificate for ${host}`,
    );
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return fail(
      `${what}: it is not valid now (${code})`,
      "renew the server's certificate, or set this machine's clock",
    );
  }
  return fail(
    `${what}: nobody who is trusted vouches for it (${code})`,
    roots === undefined
      ? "if the CA's server has a certificate of its own CA, give that CA's PEM with --ca-cert"
      : "is the file of --ca-cert the one of this server? in a cluster it is the ConfigMap signet-ca-roots",
  );
}

function examineLife(certificate: X509Certificate, now: number, problem: string | undefined): Finding[] {
  const [start, end] = [startOf(certificate), endOf(certificate)];
  // Told already.
  if (problem === "CERT_HAS_EXPIRED" || problem === "CERT_NOT_YET_VALID") return [];
  if (end <= now)
    return [fail(`the server's certificate ended ${fromNow(end, now)}`, "renew the server's certificate")];
  if ((end - now) / (end - start) < smallestShareLeft) {
    return [
      warn(`the server's certificate ends ${fromNow(end, now)}`, "renew it, and see why that was not done by itself"),
    ];
  }
  return [ok(`the server's certificate ends ${fromNow(end, now)}`)];
}
