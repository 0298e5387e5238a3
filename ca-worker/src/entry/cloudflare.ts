import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { createApp } from "../app.ts";
import { compose } from "../compose.ts";
import { parseConfig } from "../config.ts";
import { problemResponse } from "../respond/problem.ts";
import { webCrypto } from "../webcrypto.ts";
import { systemTimer } from "./timer.ts";

/** Bindings: the configuration as a variable, and the secrets that it names. */
type Env = Readonly<Record<string, unknown>>;
type App = ReturnType<typeof createApp>;

// One line of JSON each, which Workers Logs takes apart into fields.
const write =
  (level: string, print: (line: string) => void): Logger["info"] =>
  (fields, message) =>
    print(JSON.stringify({ level, message, ...fields }));
const logger: Logger = {
  debug: () => {},
  info: write("info", console.log),
  warn: write("warn", console.warn),
  error: write("error", console.error),
};

// An isolate serves many requests with the same bindings; what is not I/O is made once.
let made: { readonly env: Env; readonly app: App } | undefined;

function appFor(env: Env): App {
  if (made?.env === env) return made.app;
  const app = createApp(
    compose(parseConfig(text(env, "SIGNET_CONFIG"), "SIGNET_CONFIG"), "SIGNET_CONFIG", {
      clock: () => Date.now() / 1000,
      setTimer: systemTimer,
      fetch: (url, init) => fetch(url, init),
      logger,
      crypto: webCrypto,
      open: (location) =>
        location.startsWith("env:") ? { read: () => text(env, location.slice("env:".length)) } : undefined,
      clusterIssuer: undefined,
    }),
  );
  made = { env, app };
  return app;
}

function text(env: Env, name: string): string {
  const value = env[name];
  if (typeof value === "string") return value;
  throw new SignetError("config-invalid", `the binding ${name} is missing; see the README on deploying to Workers`);
}

/** The Cloudflare Worker. */
export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    try {
      return appFor(env).fetch(request);
    } catch (error) {
      const { code, message } = asSignetError(error, "config-invalid");
      logger.error({ event: "config", code, error: message }, "the Worker is not configured");
      return problemResponse(new SignetError("cannot-sign", message), "startup");
    }
  },
};
