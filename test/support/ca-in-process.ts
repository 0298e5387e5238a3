import { createApp } from "@signet/ca/app";
import { makeAuthority } from "@signet/ca/authority/make/authority";
import { compose, type Platform } from "@signet/ca/compose";
import { parseConfig } from "@signet/ca/config";
import { nodeCrypto } from "@signet/ca/entry/node/crypto";
import { systemTimer } from "@signet/ca/entry/timer";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { trustDomain } from "./ca-config.ts";
import { makeLogger } from "./test-logger.ts";

const origin = "http://ca.test";

/** The app itself, without a server around it; every store holds an authority made for the trust domain `name`. */
export async function startCaInProcess(config: object, overlay: Partial<Platform> = {}) {
  const logger = makeLogger();
  const platform: Platform = {
    clock: () => Date.now() / 1000,
    setTimer: systemTimer,
    fetch: (url, init) => fetch(url, init),
    logger,
    crypto: nodeCrypto,
    open: await authorityFor(trustDomain),
    clusterIssuer: undefined,
    ...overlay,
  };
  const composed = compose(parseConfig(JSON.stringify(config), "the test"), "the test", platform);
  const app = createApp(composed);
  return {
    fetch: async (path: string, init?: RequestInit) => app.fetch(new Request(`${origin}${path}`, init)),
    url: undefined,
    routes: app.routes,
    deps: composed,
    tail: () => logger.lines.map((line) => JSON.stringify(line)).join("\n"),
    /** Waits until all audit events are where they go to, or cannot be. */
    flush: () => Promise.all(composed.auditSinks.map((sink) => sink.flush())),
    stop: async () => {},
  };
}

/** A place where, whatever it is asked for, an authority document for the trust domain is. */
export async function authorityFor(name: string): Promise<Platform["open"]> {
  const text = await makeAuthorityText(name);
  return () => ({ read: () => text });
}

/** A new authority document for the trust domain `name`. */
export async function makeAuthorityText(name: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const { document } = await makeAuthority({ trustDomain: TrustDomain.parse(name), now });
  return JSON.stringify(document);
}
