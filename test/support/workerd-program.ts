/**
 * The Worker as it would be deployed, in workerd, as a process of its own that can be killed: the real entry and
 * `wrangler.jsonc`, with SIGNET_CONFIG and the secret SIGNET_AUTHORITY taken from the environment, and more secrets from
 * SIGNET_SECRETS, an object in JSON.
 * Usage: workerd-program.ts PORT TEMPORARY-FOLDER
 */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { bundleWorker } from "./worker-script.ts";

const [port, temporary] = process.argv.slice(2);
const { SIGNET_CONFIG: config, SIGNET_AUTHORITY: authority, SIGNET_SECRETS: secrets = "{}" } = process.env;
if (port === undefined || temporary === undefined || config === undefined || authority === undefined) {
  throw new Error("port, temporary folder, SIGNET_CONFIG and SIGNET_AUTHORITY are needed");
}
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    name: "signet-ca",
    host: "127.0.0.1",
    port: Number(port),
    modules: true,
    ...(await bundleWorker()),
    bindings: { ...JSON.parse(secrets), SIGNET_CONFIG: config, SIGNET_AUTHORITY: authority },
    // Nothing of this asks the outside world: no request is dressed up with a place on the map.
    cf: false,
    resourceTmpPath: temporary,
    log: new Log(LogLevel.INFO),
    handleStructuredLogs: ({ level, message }) => process.stdout.write(`${level}: ${message}\n`),
  }),
);
await miniflare.ready;
