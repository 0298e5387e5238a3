import { parseCertificate } from "@signet/shared/certificate";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { decodeSinglePem } from "@signet/shared/pem";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { Command } from "commander";
import { type AuthorityDocument, parseAuthorityDocument } from "../authority/document.ts";
import type { Platform } from "../compose.ts";
import { authoritiesOf, type TrustDomainAuthority } from "../config/trust-domains.ts";
import type { Config } from "../config.ts";
import { podCluster } from "../entry/node/kubernetes/access.ts";
import { ensureAuthority } from "../entry/node/kubernetes/first-authority.ts";
import type { SecretStore } from "../entry/node/kubernetes/secret-store.ts";
import { createLogger } from "../entry/node/log.ts";
import { nodePlatform, secretStore } from "../entry/node/platform.ts";
import { pathAt } from "../entry/node/text-sources.ts";
import { configFlag, configFlagHelp, readConfig } from "./config-file.ts";

interface Options {
  readonly config?: string;
  readonly trustDomain?: string;
}

interface InitOptions extends Options {
  readonly rootKey?: string;
  readonly discardRootKey?: true;
}

const trustDomainFlag = "--trust-domain <name>";
const trustDomainHelp = "whose authority: one of trustDomains in the configuration; the CA's own by default";

export function authorityCommand(): Command {
  return new Command("authority")
    .description("make and look at the authorities that sign")
    .addCommand(initCommand())
    .addCommand(statusCommand());
}

function initCommand(): Command {
  return new Command("init")
    .description("make a root and its first issuing authority")
    .option(configFlag, configFlagHelp)
    .option(trustDomainFlag, trustDomainHelp)
    .option("--root-key <file>", "where to put the root's key (new file, mode 0600); beside a file: store by default")
    .option("--discard-root-key", "forget the root's key: no further issuing authority can be made under this root")
    .addHelpText(
      "after",
      `
The root's key is never part of the authority document: instances that sign leaves do not need it. Keep it off line.

With "store": "file:PATH" the document is written to that new file. With "store": "env:NAME" it is printed, to be piped
into the secret of that name:
  signet-ca authority init --config ca.jsonc --root-key root-key.pem | wrangler secret put SIGNET_AUTHORITY
So it is with "store": "aws-secretsmanager:NAME-or-ARN":
  signet-ca authority init --config ca.jsonc --root-key root-key.pem |
    aws secretsmanager put-secret-value --secret-id signet/authority --secret-string file:///dev/stdin

With "store": "kubernetes:NAMESPACE/NAME", in a pod, the document goes into that new Secret and the root's key into the new
Secret NAME-root-key, as on the first start of \`serve\`.`,
    )
    .action(async (options: InitOptions) => {
      const { config, folder } = await readConfig(options.config);
      const { store, ...found } = findAuthority(config, options.trustDomain);
      const trustDomain = TrustDomain.parse(found.trustDomain);
      const secret = secretStore(store, podCluster);
      if (secret !== undefined) return initInCluster(secret, trustDomain, options);
      // Loaded here only: @peculiar/x509 takes longer than the whole start of `serve`.
      const { initAuthority, rootKeyPath } = await import("../authority/make/init.ts");
      const path = store.startsWith("file:") ? pathAt(folder, store) : undefined;
      const keyPath = options.rootKey ?? (path === undefined ? undefined : rootKeyPath(path));
      if (keyPath === undefined && options.discardRootKey !== true) {
        throw new SignetError(
          "config-invalid",
          "say where to keep the root's key: --root-key FILE, or --discard-root-key",
        );
      }
      const keepKey = options.discardRootKey === true ? undefined : keyPath;
      const document = await initAuthority(trustDomain, path, keepKey);
      // On one line, so that it also fits into a file of variables.
      if (path === undefined) process.stdout.write(`${JSON.stringify(document)}\n`);
      const say = (line: string) => process.stderr.write(`${line}\n`);
      say(`Made root and issuing authority ${document.authorities[0]?.id} for ${trustDomain.id}`);
      say(
        path === undefined
          ? "The authority document went to standard output; it holds a key: keep it secret"
          : `Authority document: ${path}`,
      );
      say(keepKey === undefined ? "The root's key was discarded" : `Root key: ${keepKey} (keep it off line)`);
    });
}

async function initInCluster(store: SecretStore, trustDomain: TrustDomain, options: InitOptions): Promise<void> {
  const { secret, rootKeySecret } = store;
  if (options.rootKey !== undefined) {
    throw new SignetError(
      "config-invalid",
      `--root-key: with a kubernetes: store the root's key goes into the Secret ${rootKeySecret.name}; leave it out, or give --discard-root-key`,
    );
  }
  const keepRootKey = options.discardRootKey !== true;
  const { patienceSeconds } = podCluster;
  const made = await ensureAuthority({
    store,
    trustDomain,
    keepRootKey,
    patienceSeconds,
    logger: createLogger("warn"),
  });
  if (!made) {
    throw new SignetError(
      "authority-unavailable",
      `the Secret ${secret.namespace}/${secret.name} is there already; nothing was changed`,
    );
  }
  process.stderr.write(`Made a root and its issuing authority for ${trustDomain.id}
Authority document: Secret ${secret.namespace}/${secret.name}
${keepRootKey ? `Root key: Secret ${secret.namespace}/${rootKeySecret.name} (copy it out of the cluster; the README says how)` : "The root's key was discarded"}
`);
}

/** @throws SignetError `config-invalid` where the configuration has no such trust domain */
function findAuthority(config: Config, name = config.trustDomain): TrustDomainAuthority {
  const all = authoritiesOf(config);
  const found = all.find(({ trustDomain }) => trustDomain === name);
  if (found !== undefined) return found;
  const names = all.map(({ trustDomain }) => trustDomain).join(", ");
  throw new SignetError("config-invalid", `--trust-domain ${name}: the configuration has no other than ${names}`);
}

function statusCommand(): Command {
  return new Command("status")
    .description("list the authorities, their states and when they end")
    .option(configFlag, configFlagHelp)
    .option(trustDomainFlag, trustDomainHelp)
    .action(async (options: Options) => {
      const { config, folder } = await readConfig(options.config);
      const logger = createLogger("silent");
      const platform = nodePlatform({ folder, logger, cluster: podCluster, clusterIssuer: undefined });
      const document = await readDocument(findAuthority(config, options.trustDomain).store, platform);
      const rows = document.authorities.map(({ id, state, key, chain }) => {
        const [issuing, root] = [chain[0], chain.at(-1)].map((pem) =>
          parseCertificate(decodeSinglePem(pem ?? "", ["CERTIFICATE"])),
        );
        const day = (seconds = 0) => new Date(seconds * 1000).toISOString().slice(0, 10);
        return [id, state, key.kind, day(issuing?.notAfter), day(root?.notAfter)];
      });
      const table = [["ID", "STATE", "KEY", "NOT AFTER", "ROOT NOT AFTER"], ...rows];
      const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
      process.stdout.write(`sequence ${document.sequence}\n`);
      for (const row of table)
        process.stdout.write(
          `${row
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join("  ")
            .trimEnd()}\n`,
        );
    });
}

/** @throws SignetError `authority-invalid`, `source-unavailable` and others with the place in their message */
async function readDocument(location: string, platform: Platform): Promise<AuthorityDocument> {
  const store = platform.open(location);
  if (store === undefined)
    throw new SignetError("source-unavailable", `${location} can be read on its own platform only`);
  try {
    return parseAuthorityDocument(await store.read());
  } catch (error) {
    const { code, message } = asSignetError(error, "source-unavailable");
    throw new SignetError(code, `authority.store ${location}: ${message}`, { cause: error });
  }
}
