import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@signet/shared/deps";
import type { HttpServer } from "./http-server.ts";

/** The time from the first word of a stop to the last connection's end. */
export class Drain {
  #begun = false;

  get begun(): boolean {
    return this.#begun;
  }

  /** Says `/readyz` 503 from now on, and gives those who ask it this long to look elsewhere. */
  async begin(seconds: number): Promise<void> {
    this.#begun = true;
    if (seconds > 0) await sleep(seconds * 1000);
  }
}

/** Closes a server: requests under way are answered, what is not answered after this long is cut off. */
export async function closeServer(server: HttpServer, patienceSeconds: number, logger: Logger): Promise<void> {
  const timer = setTimeout(() => {
    logger.warn({ event: "cut-off", connections: server.connections }, "requests that are still under way are cut off");
    server.destroy();
  }, patienceSeconds * 1000);
  await server.close();
  clearTimeout(timer);
}
