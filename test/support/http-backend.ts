import { createServer } from "node:http";

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
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the backend has no port");
  return {
    port: address.port,
    requests: () => requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
