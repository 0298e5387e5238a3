import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { ClientIdentity } from "./certificates.ts";

export interface Outcome {
  /** Status of the HTTP answer, undefined where none came. */
  readonly status: number | undefined;
  /** How the connection ended when no answer came. */
  readonly fault: string;
}

const patience = 5_000;

/** Speaks HTTP in the clear to a port. */
export function callPlain(port: number): Promise<Outcome> {
  const socket = connectPlain(port, "127.0.0.1");
  socket.once("connect", () => ask(socket));
  return outcome(socket);
}

/** Speaks HTTP over TLS to a port, with a certificate or without; takes whatever the server shows. */
export function callTls(port: number, identity?: ClientIdentity): Promise<Outcome> {
  const socket = openTls(port, identity);
  socket.once("secureConnect", () => ask(socket));
  return outcome(socket);
}

/** The serial number of the certificate that a TLS server shows, in lower-case hex without leading zeros. */
export function shownSerial(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = openTls(port);
    socket.once("error", reject).once("secureConnect", () => {
      resolve(
        socket
          .getPeerCertificate()
          .serialNumber.toLowerCase()
          .replace(/^0+(?=.)/, ""),
      );
      socket.destroy();
    });
  });
}

function openTls(port: number, identity?: ClientIdentity): TLSSocket {
  // The question is what the server lets through, not whether this client would trust it.
  return connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...identity });
}

function ask(socket: Socket): void {
  socket.write("GET /ip HTTP/1.1\r\nhost: httpbin\r\nconnection: close\r\n\r\n");
}

function outcome(socket: Socket): Promise<Outcome> {
  return new Promise((resolve) => {
    let text = "";
    let fault = "connection closed";
    socket.setTimeout(patience, () => {
      fault = "silence";
      socket.destroy();
    });
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      fault = error.code ?? error.message;
    });
    socket.once("close", () => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve({ status: status === undefined ? undefined : Number(status), fault });
    });
  });
}
