const millisecondsByUnit: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Headers of a call as they came: a name can stand there more than once, in order. */
export class CallHeaders {
  readonly #list: readonly string[];

  /** @param list name, value, name, value, ...; names in lower case, as HTTP/2 has them */
  constructor(list: readonly string[]) {
    this.#list = list;
  }

  /** All values of a header; those of a `-bin` header decoded from base64, padded or not, one by one or comma-joined. */
  get(name: string): readonly (string | Buffer)[] {
    const isBinary = name.endsWith("-bin");
    const values: (string | Buffer)[] = [];
    for (let at = 0; at < this.#list.length; at += 2) {
      if (this.#list[at] !== name) continue;
      const value = this.#list[at + 1] ?? "";
      if (isBinary) for (const part of value.split(",")) values.push(Buffer.from(part, "base64"));
      else values.push(value);
    }
    return values;
  }

  /** The first value of a header that is text. */
  first(name: string): string | undefined {
    const at = this.#list.findIndex((entry, index) => index % 2 === 0 && entry === name);
    return at < 0 ? undefined : this.#list[at + 1];
  }
}

/** Whether a content type is gRPC's, with or without a message format after it. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:[+;]|$)/.test(contentType);
}

/** Milliseconds in a `grpc-timeout` header; `invalid` where it says none. */
export function readTimeout(text: string | undefined): number | "invalid" | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  const milliseconds = millisecondsByUnit[unit];
  return amount === undefined || milliseconds === undefined ? "invalid" : Number(amount) * milliseconds;
}

/** Text as `grpc-message` carries it: percent-encoded UTF-8, all but what is printable ASCII. */
export function encodeMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    Array.from(Buffer.from(part), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}
