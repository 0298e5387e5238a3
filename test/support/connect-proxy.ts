import { createServer, type Server } from "node:http";
import { connect, type Socket } from "node:net";

/** How the proxy answers CONNECT. */
export type ProxyScript = "tunnel" | "hang" | { readonly status: string; readonly body?: string };

/** An HTTP proxy that tunnels whatever it is asked for to one port of this machine, as if that were the host. */
export class ConnectProxy {
  script: ProxyScript = "tunnel";
  /** What was asked for: host and port, and the credentials that came with it. */
  readonly requests: { readonly target: string; readonly authorization: string | undefined }[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((_, response) => response.writeHead(405).end());
    this.#server.on("connection", (socket) => this.#keep(socket));
    this.#server.on("connect", ({ url = "", headers }, socket: Socket) => {
      this.requests.push({ target: url, authorization: headers["proxy-authorization"] });
      const { script } = this;
      if (script === "hang") return;
      if (typeof script === "object") {
        const { body = "", status } = script;
        socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        return;
      }
      const onward = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        socket.pipe(onward).pipe(socket);
      });
      this.#keep(onward);
    });
  }

  static async start(port: number): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get host(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy has no port");
    return `127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
