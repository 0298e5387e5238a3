import type { Crypto } from "@signet/ca/crypto";
import { trustDomain } from "../support/ca-config.ts";
import { makeAuthorityText, startCaInProcess } from "../support/ca-in-process.ts";
import { type Asked, checkAnswer } from "./workloads.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface InProcessOptions {
  readonly crypto: Crypto;
  /** Texts by their locations; everywhere else is the authority. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** The app without a server, its log going nowhere. */
export async function appInProcess(
  config: object,
  { crypto, texts = {} }: InProcessOptions,
): Promise<(asked: Asked) => Promise<void>> {
  const authority = await makeAuthorityText(trustDomain);
  const open = (location: string) => ({ read: () => texts[location] ?? authority });
  const app = await startCaInProcess(config, { crypto, logger: silent, open });
  return async (asked) => {
    const { path, headers, body } = asked;
    const init = { method: "POST", headers: { ...headers, "content-length": String(body.length) }, body };
    const response = await app.fetch(path, init);
    checkAnswer(asked, response.status, await response.text());
  };
}
