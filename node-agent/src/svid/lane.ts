import { SignetError } from "@signet/shared/errors";

export interface LaneLimits {
  /** Tokens of one connection that may wait for the CA's word, or were refused a moment ago. */
  readonly maxUnaccepted: number;
  /** Of those, the ones that the CA is asked about at once. */
  readonly maxAsked: number;
}

/**
 * What one connection may want of the CA for tokens that nobody has accepted yet. An Envoy brings one token, and another
 * when the kubelet has changed it; who makes up tokens waits for itself, and others get their turns all the same.
 */
export class Lane {
  readonly #limits: LaneLimits;
  readonly #waiting: (() => void)[] = [];
  #unaccepted = 0;
  #asked = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#unaccepted;
  }

  /**
   * Lets one more token in.
   * @throws SignetError `ca-busy` with too many there
   */
  enter(): void {
    if (this.#unaccepted >= this.#limits.maxUnaccepted) {
      throw new SignetError("ca-busy", "too many tokens of this connection wait for the CA's word; try again later");
    }
    this.#unaccepted++;
  }

  /** One that was let in is accepted or forgotten. */
  leave(): void {
    this.#unaccepted--;
  }

  /** Sends a request when it is its turn. */
  async ask<Answer>(request: () => Promise<Answer>): Promise<Answer> {
    if (this.#asked < this.#limits.maxAsked) this.#asked++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await request();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#asked--;
      else next();
    }
  }
}
