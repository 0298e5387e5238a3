import { createApp } from "@signet/ca/app";
import { makeAuthority } from "@signet/ca/authority/make/authority";
import { compose } from "@signet/ca/compose";
import { parseConfig } from "@signet/ca/config";
import type { Crypto } from "@signet/ca/crypto";
import { systemTimer } from "@signet/ca/entry/timer";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { trustDomain } from "../support/ca-config.ts";
import { type Asked, checkAnswer } from "./workloads.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface InProcessOptions {
  readonly crypto: Crypto;
  /** Texts by their locations; the authority is at env:AUTHORITY. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** The app without a server, its log going nowhere. */
export async function appInProcess(
  config: object,
  { crypto, texts = {} }: InProcessOptions,
): Promise<(asked: Asked) => Promise<void>> {
  const { document } = await makeAuthority({ trustDomain: TrustDomain.parse(trustDomain), now: Date.now() / 1000 });
  const places: Readonly<Record<string, string>> = { ...texts, "env:AUTHORITY": JSON.stringify(document) };
  const app = createApp(
    compose(parseConfig(JSON.stringify(config), "bench"), "bench", {
      clock: () => Date.now() / 1000,
      setTimer: systemTimer,
      fetch,
      logger: silent,
      crypto,
      open: (location) => {
        const text = places[location];
        return text === undefined ? undefined : { read: () => text };
      },
      clusterIssuer: undefined,
    }),
  );
  return async (asked) => {
    const { path, headers, body } = asked;
    const init = { method: "POST", headers: { ...headers, "content-length": String(body.length) }, body };
    const response = await app.fetch(new Request(`http://ca${path}`, init));
    checkAnswer(asked, response.status, await response.text());
  };
}
