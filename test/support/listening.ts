import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** A server of a test's own, on a free port of 127.0.0.1. */
export interface Listening {
  readonly port: number;
  /** Without a slash at its end. */
  readonly url: string;
  /** Cuts off what is under way. */
  stop(): Promise<void>;
}

export async function listening(server: HttpServer | HttpsServer): Promise<Listening> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${"setSecureContext" in server ? "https" : "http"}://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function startHttp(listener: RequestListener): Promise<Listening> {
  return listening(createServer(listener));
}
