/** Numbers that look random and are the same for the same seed, so that a run can be repeated. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** From 0 to under 1; Mulberry32, which passes the usual tests and is a few lines long. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** To one tenth, so that a printed value is the whole value. */
  between(lowest: number, highest: number): number {
    return Math.round((lowest + (highest - lowest) * this.next()) * 10) / 10;
  }

  pick<const T>(from: readonly [T, ...T[]]): T {
    return from[Math.floor(this.next() * from.length)] ?? from[0];
  }

  shuffle<T>(list: readonly T[]): T[] {
    const cards = [...list];
    for (let last = cards.length - 1; last > 0; last--) {
      const other = Math.floor(this.next() * (last + 1));
      [cards[last], cards[other]] = [cards[other] as T, cards[last] as T];
    }
    return cards;
  }
}

/** `SIGNET_CHAOS_SEED`, or a new one. */
export function seedOfRun(): number {
  const told = process.env.SIGNET_CHAOS_SEED ?? "";
  if (told === "") return Math.floor(Math.random() * 1_000_000);
  if (!/^\d{1,9}$/.test(told)) throw new Error(`SIGNET_CHAOS_SEED is "${told}"; it must be a whole number`);
  return Number(told);
}
