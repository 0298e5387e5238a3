import type { Clock } from "@signet/shared/deps";
import type { VerifiedToken } from "./service-account.ts";

// A key that an issuer withdraws stops counting at the latest after this long.
const rememberSeconds = 60;
// One agent per node sends one token; a fleet's nodes fit, and an attacker can only make others be verified again.
const maxTokens = 4_096;

interface Remembered {
  readonly verified: VerifiedToken;
  readonly generation: number;
  readonly until: number;
}

/** Tokens whose signature was verified lately, found by their whole text. */
export class VerifiedTokens {
  readonly #clock: Clock;
  readonly #tokens = new Map<string, Remembered>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(token: string): VerifiedToken | undefined {
    const remembered = this.#tokens.get(token);
    if (remembered === undefined) return undefined;
    const { verified, generation, until } = remembered;
    if (until > this.#clock() && generation === verified.issuer.keys.generation) return verified;
    this.#tokens.delete(token);
    return undefined;
  }

  add(token: string, verified: VerifiedToken): void {
    const oldest = this.#tokens.size >= maxTokens ? this.#tokens.keys().next().value : undefined;
    if (oldest !== undefined) this.#tokens.delete(oldest);
    this.#tokens.set(token, {
      verified,
      generation: verified.issuer.keys.generation,
      until: this.#clock() + rememberSeconds,
    });
  }
}
