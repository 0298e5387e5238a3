import { type Agent, type AgentOptions, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { createSecureContext } from "node:tls";
import { shownProxy } from "./proxy.ts";

// A connection that nobody used for this long is closed; most servers do so themselves before.
const idleMilliseconds = 30_000;

export interface ConnectionsOptions {
  readonly url: URL;
  /** PEM of the CAs that may vouch for the server, as it is now; undefined: Node's own list. */
  readonly pinnedCa: { current(): string } | undefined;
  readonly proxy: URL | undefined;
}

/** Connections to one server that are kept open between requests. */
export class Connections {
  /** Words for a message that say by which way the server was to be reached. */
  readonly way: string;
  readonly #pinnedCa: ConnectionsOptions["pinnedCa"];
  readonly #make: (pinned: string | undefined) => Agent;
  #pinned: string | undefined;
  #agent: Agent;
  /** The one before, on which requests may still be under way. */
  #retired: Agent | undefined;

  private constructor(pinnedCa: ConnectionsOptions["pinnedCa"], way: string, make: (pinned?: string) => Agent) {
    this.way = way;
    this.#pinnedCa = pinnedCa;
    this.#make = make;
    this.#pinned = pinnedCa?.current();
    this.#agent = make(this.#pinned);
  }

  static async to({ url, pinnedCa, proxy }: ConnectionsOptions): Promise<Connections> {
    const options: AgentOptions = { keepAlive: true, timeout: idleMilliseconds, scheduling: "lifo" };
    if (url.protocol === "http:") return new Connections(undefined, "", () => new HttpAgent(options));
    // The roots are read once, not for each connection.
    const secure = (ca: string | undefined) => ({
      ...options,
      secureContext: createSecureContext({ minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) }),
    });
    if (proxy === undefined) return new Connections(pinnedCa, "", (ca) => new HttpsAgent(secure(ca)));
    // Unlike https-proxy-agent, it never hands on what the proxy itself answers, as if the CA had said it.
    const { HttpsProxyAgent } = await import("hpagent");
    const way = ` through the proxy ${shownProxy(proxy)}`;
    return new Connections(pinnedCa, way, (ca) => new HttpsProxyAgent({ ...secure(ca), proxy: proxy.href }));
  }

  /** What new requests go over. Roots change while the agent runs: a new connection is then verified with the new ones. */
  get agent(): Agent {
    const pinned = this.#pinnedCa?.current();
    if (pinned !== this.#pinned) {
      const old = this.#agent;
      this.#retired?.destroy();
      this.#retired = old;
      this.#pinned = pinned;
      this.#agent = this.#make(pinned);
      // What is under way ends on the connections from before, which then close by themselves.
      closeIdle(old);
    }
    return this.#agent;
  }

  /** Lets the next request make a connection of its own: one that was silent may not be the only one that is dead. */
  distrust(): void {
    closeIdle(this.#agent);
  }

  /** Ends what is under way. */
  close(): void {
    this.#retired?.destroy();
    this.#agent.destroy();
  }
}

function closeIdle({ freeSockets }: Agent): void {
  for (const sockets of Object.values(freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
