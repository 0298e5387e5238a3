import { createServer } from "node:http";
import { listening } from "./listening.ts";

export interface HttpBackend {
  readonly port: number;
  /** Requests that came through to it. */
  requests(): number;
  stop(): Promise<void>;
}

/** The application behind httpbin's Envoy: `/ip` tells the caller's address, `/headers` gives the headers back. */
export async function startHttpBackend(): Promise<HttpBackend> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const answer =
      request.url === "/ip"
        ? { origin: request.socket.remoteAddress }
        : request.url === "/headers"
          ? { headers: request.headers }
          : undefined;
    response
      .writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" })
      .end(JSON.stringify(answer ?? {}));
  });
  // Closing a connection at the moment in which an Envoy sends a request on it would look like a fault of the mesh.
  server.keepAliveTimeout = 0;
  const { port, stop } = await listening(server);
  return { port, requests: () => requests, stop };
}
