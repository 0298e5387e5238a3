import { Agent, request } from "undici";
import { type Asked, checkAnswer } from "./workloads.ts";

/** HTTP clients of a CA, each with a connection of its own. */
export class Clients {
  readonly #url: string;
  readonly #dispatcher = new Agent({ connections: 16 });

  constructor(url: string) {
    this.#url = url;
  }

  /** Has `width` clients ask one request after another, `count` in all. */
  async ask(count: number, width: number, next: () => Asked): Promise<void> {
    let left = count;
    const client = async () => {
      while (left-- > 0) await this.#one(next());
    };
    await Promise.all(Array.from({ length: width }, client));
  }

  async #one(asked: Asked): Promise<void> {
    const { path, headers, body } = asked;
    const options = { method: "POST", headers, body, dispatcher: this.#dispatcher } as const;
    const response = await request(`${this.#url}${path}`, options);
    checkAnswer(asked, response.statusCode, await response.body.text());
  }

  close(): Promise<void> {
    return this.#dispatcher.close();
  }
}
