import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Fetch, SetTimer } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { createApp } from "../../app.ts";
import type { Environment } from "../../aws/credentials.ts";
import { compose } from "../../compose.ts";
import { parseConfig } from "../../config.ts";
import { preload } from "../../preload.ts";
import { problemResponse } from "../../respond/problem.ts";
import { within } from "../../time-limit.ts";
import { nodeCrypto } from "../node/crypto.ts";
import { createFetchTrusting } from "../node/fetch-trusting.ts";
import { openText } from "../node/text-sources.ts";
import type { Served } from "./handler.ts";
import type { LambdaLogger } from "./log.ts";

export interface StartOptions {
  readonly environment: Environment;
  /** The deployment package, which has `ca.jsonc` and what `file:` locations name. */
  readonly folder: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  readonly logger: LambdaLogger;
}

const packagedConfig = "ca.jsonc";
// Lambda's init phase ends after 10 s.
const preloadMs = 8_000;

/**
 * The CA, once for each execution environment: composed, with authorities and keys at hand as far as they can be had. Never
 * throws: a function that is not configured answers 503, and its log says what is wrong.
 */
export async function start(options: StartOptions): Promise<Served> {
  const { environment, folder, fetch, clock, setTimer, logger } = options;
  try {
    const { text, source } = await readConfig(environment, folder);
    const composed = compose(parseConfig(text, source), source, {
      clock,
      setTimer,
      fetch,
      fetchTrusting: createFetchTrusting(),
      logger,
      crypto: nodeCrypto,
      open: (location) => openText(location, options),
      clusterIssuer: undefined,
    });
    const app = createApp(composed);
    await within(preloadMs, setTimer, preload(composed), tooLong).catch(() => undefined);
    // What is made at its first use, such as the router and Node's own Request, is made now.
    await app.request("/healthz");
    return {
      answer: async (request) => app.fetch(request),
      flush: () => Promise.allSettled(composed.auditSinks.map((sink) => sink.flush())),
    };
  } catch (error) {
    const { code, message } = asSignetError(error, "config-invalid");
    logger.error({ event: "config", code, error: message }, "the function is not configured");
    return {
      answer: async () => problemResponse(new SignetError("cannot-sign", message), "startup"),
      flush: async () => {},
    };
  }
}

/** @throws SignetError `config-invalid` */
async function readConfig(environment: Environment, folder: string): Promise<{ text: string; source: string }> {
  const { SIGNET_CONFIG } = environment;
  if (SIGNET_CONFIG !== undefined) return { text: SIGNET_CONFIG, source: "SIGNET_CONFIG" };
  try {
    return { text: await readFile(join(folder, packagedConfig), "utf8"), source: packagedConfig };
  } catch (cause) {
    throw new SignetError(
      "config-invalid",
      `no configuration: the deployment package has no ${packagedConfig} (${(cause as NodeJS.ErrnoException).code}), and SIGNET_CONFIG is not set`,
      { cause },
    );
  }
}

function tooLong(): SignetError {
  return new SignetError("source-unavailable", "keys and authorities are not all at hand in time");
}
