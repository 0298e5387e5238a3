import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SdsClient, type SdsStreamClient } from "../agent/sds-client.ts";
import type { Invariants, WatchedPod } from "./invariants.ts";

const pauseMs = 300;
let streams = 0;

export interface WatcherOptions {
  readonly socket: string;
  readonly pod: WatchedPod;
  readonly tokenFile: string;
  readonly names: readonly string[];
  readonly invariants: Invariants;
}

/**
 * A client beside a pod's Envoy, with the pod's own token: it sees what that Envoy sees, hands each push to the invariants
 * and accepts it. When its stream ends it comes back, with the token that is in the file by then, as Envoy does.
 */
export class Watcher {
  readonly pod: WatchedPod;
  readonly #options: WatcherOptions;
  readonly #done: Promise<void>;
  #stream: SdsStreamClient | undefined;
  #stopped = false;
  /** The token of the stream that is open, once an identity has come on it. */
  #servedToken: string | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.pod = options.pod;
    this.#done = this.#run();
  }

  /** Whether the agent that runs now has given it an identity for a token that is good for a while. */
  get isServed(): boolean {
    return this.#servedToken !== undefined && expiryOf(this.#servedToken) > Date.now() + 10_000;
  }

  /** Asks for the identity again, beside the stream that is open. @returns whether it came in time */
  async askAgain(withinMs: number): Promise<boolean> {
    const { invariants, pod, socket } = this.#options;
    const client = new SdsClient(socket);
    const stream = client.withToken(this.#servedToken ?? "");
    const giveUp = setTimeout(() => stream.cancel(), withinMs);
    try {
      stream.request({ names: ["default"] });
      const { secrets, version } = await stream.next();
      invariants.take({ at: Date.now(), stream: `again#${++streams}`, pod, version, secrets });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(giveUp);
      stream.cancel();
      client.close();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stream?.cancel();
    await this.#done;
    this.#options.invariants.forget(this.pod);
  }

  async #run(): Promise<void> {
    const { socket, tokenFile } = this.#options;
    while (!this.#stopped) {
      const client = new SdsClient(socket);
      try {
        await this.#follow(client, readFileSync(tokenFile, "utf8"));
      } catch {
        // The stream has ended.
      }
      this.#servedToken = undefined;
      client.close();
      await sleep(pauseMs);
    }
  }

  async #follow(client: SdsClient, token: string): Promise<void> {
    const { invariants, names, pod } = this.#options;
    const stream = client.withToken(token);
    this.#stream = stream;
    const name = `${names.join("+")}#${++streams}`;
    stream.request({ names });
    while (!this.#stopped) {
      const { secrets, version } = await stream.nextAcked(names);
      invariants.take({ at: Date.now(), stream: name, pod, version, secrets });
      if (secrets.some(({ kind }) => kind === "tlsCertificate")) this.#servedToken = token;
    }
    stream.cancel();
  }
}

/** Milliseconds since the epoch. */
function expiryOf(token: string): number {
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { exp: number };
  return claims.exp * 1_000;
}

/**
 * Somebody with the claims of a real pod and a signature of nobody's: never gets an identity, whatever state the CA and
 * the agent are in.
 */
export class Stranger {
  tries = 0;
  readonly identities: string[] = [];
  readonly #done: Promise<void>;
  #stream: SdsStreamClient | undefined;
  #stopped = false;

  constructor(socket: string, forgedToken: () => Promise<string>) {
    this.#done = this.#run(socket, forgedToken);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stream?.cancel();
    await this.#done;
  }

  async #run(socket: string, forgedToken: () => Promise<string>): Promise<void> {
    while (!this.#stopped) {
      const client = new SdsClient(socket);
      try {
        this.tries++;
        const stream = client.withToken(await forgedToken());
        this.#stream = stream;
        stream.request({ names: ["default", "ROOTCA"] });
        while (!this.#stopped) {
          const { secrets } = await stream.nextAcked(["default", "ROOTCA"]);
          this.identities.push(...secrets.filter(({ kind }) => kind === "tlsCertificate").map(({ chain }) => chain));
        }
      } catch {
        // Refused, as it should be.
      }
      client.close();
      await sleep(2_000);
    }
  }
}

/** Refuses whatever comes, and says how often the same content came again. */
export async function refuseSecrets(options: WatcherOptions, milliseconds: number): Promise<number> {
  const { invariants, names, pod, socket, tokenFile } = options;
  const client = new SdsClient(socket);
  const stream = client.withToken(readFileSync(tokenFile, "utf8"));
  const name = `refusing#${++streams}`;
  let refused = 0;
  const giveUp = setTimeout(() => stream.cancel(), milliseconds);
  try {
    stream.request({ names });
    for (;;) {
      const { nonce, secrets, version } = await stream.next();
      invariants.take({ at: Date.now(), stream: name, pod, version, secrets });
      stream.request({ names, nonce, version: "", nack: "refused to see what happens" });
      refused++;
    }
  } catch {
    return refused;
  } finally {
    clearTimeout(giveUp);
    stream.cancel();
    client.close();
  }
}
