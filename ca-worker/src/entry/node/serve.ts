import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { configError } from "@signet/shared/faults";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { createApp } from "../../app.ts";
import type { Issuer } from "../../authenticate/service-account.ts";
import { compose } from "../../compose.ts";
import type { Config } from "../../config.ts";
import { meteredAudit } from "./metrics.ts";
import { authorityPath, nodePlatform } from "./platform.ts";

export interface ServeOptions {
  readonly config: Config;
  /** What the configuration is called in messages. */
  readonly source: string;
  /** The folder that `file:` paths start from. */
  readonly folder: string;
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM files for https; plain http without. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  readonly logger: Logger;
}

export interface Running {
  readonly url: string;
  /** Stops taking connections and waits for the requests under way. */
  stop(): Promise<void>;
}

// A slow client must not hold a connection for long: bodies are a few KiB.
const requestTimeoutMs = 10_000;
// Two tokens of the longest that are looked at, and room for the rest.
const maxHeaderSize = 2 * maxTokenCharacters + 8_192;

/** Runs the CA on Node. */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, source, folder, host, port, tls, logger } = options;
  await makeDevelopmentAuthority(config, folder, logger);
  const deps = compose(config, source, nodePlatform(folder, logger));
  const { audit, registry } = meteredAudit(deps.audit);
  const app = createApp({ ...deps, audit });
  app.get("/metrics", async (context) =>
    context.body(await registry.metrics(), 200, { "content-type": registry.contentType }),
  );
  // Faults show in the log now rather than at the first request; readiness tells the rest.
  await deps.authorities.current().catch(() => {});
  await warmKeys(config, source, deps.issuers);

  const listener = getRequestListener(app.fetch);
  const server =
    tls === undefined
      ? createHttpServer({ requestTimeout: requestTimeoutMs, maxHeaderSize }, listener)
      : createHttpsServer(
          { requestTimeout: requestTimeoutMs, maxHeaderSize, minVersion: "TLSv1.2", ...readTls(tls) },
          listener,
        );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new SignetError("config-invalid", `--listen: ${cause.message}`, { cause })));
    server.listen(port, host, resolve);
  });
  const { port: boundPort } = server.address() as AddressInfo;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${tls === undefined ? "http" : "https"}://${shownHost}:${boundPort}`,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
    },
  };
}

/** Gets the issuers' keys. An issuer that is down can come back; a file that is missing or wrong has to be mended now. */
async function warmKeys({ issuers }: Config, source: string, made: readonly Issuer[]): Promise<void> {
  const results = await Promise.allSettled(made.map(({ keys }) => keys.warm()));
  const faults = results.flatMap((result, index) => {
    const keys = issuers[index]?.keys;
    const fromFile = typeof keys === "string" && keys.startsWith("file:");
    return result.status === "rejected" && fromFile
      ? [`issuers.${index}.keys: ${asSignetError(result.reason, "config-invalid").message}`]
      : [];
  });
  if (faults.length > 0) throw configError(source, faults);
}

/** On the first start in development there is no authority yet; a file that is there is never touched. */
async function makeDevelopmentAuthority(
  { authority, trustDomain }: Config,
  folder: string,
  logger: Logger,
): Promise<void> {
  if (!authority.store.startsWith("file:")) return;
  const path = authorityPath(folder, authority.store);
  const missing = await stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  if (!missing) return;
  if (process.env.NODE_ENV === "production") {
    throw new SignetError(
      "authority-unavailable",
      `${path} is missing; make it with: signet-ca authority init --config FILE`,
    );
  }
  // Loaded here only: it takes longer than all the rest of the start.
  const { initAuthority, rootKeyPath } = await import("../../authority/make/init.ts");
  await initAuthority(TrustDomain.parse(trustDomain), path, rootKeyPath(path));
  logger.warn({ event: "authority-made", path }, "made a new authority with plain keys, for development only");
}

function readTls({ certificate, key }: NonNullable<ServeOptions["tls"]>): { cert: Buffer; key: Buffer } {
  try {
    const files = { cert: readFileSync(certificate), key: readFileSync(key) };
    // A pair that does not go together would show only at a client's first handshake.
    if (!new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key))) {
      throw new SignetError("config-invalid", "the key is not the certificate's");
    }
    return files;
  } catch (error) {
    throw new SignetError(
      "config-invalid",
      `--tls-cert and --tls-key: ${asSignetError(error, "config-invalid").message}`,
      { cause: error },
    );
  }
}
