import { setTimeout as pause } from "node:timers/promises";
import { type Environment, environmentCredentials } from "../../aws/credentials.ts";
import { secretSource } from "../../aws/secrets-manager.ts";
import type { Platform } from "../../compose.ts";
import { awsSecretOfStore } from "../../config/location.ts";
import type { TextSource } from "../../text-source.ts";

/** The text of an `aws-secretsmanager:` location, on Lambda and on Node; undefined for a location of another kind. */
export function awsSecret(
  location: string,
  environment: Environment,
  { fetch, clock }: Pick<Platform, "fetch" | "clock">,
): TextSource | undefined {
  const name = awsSecretOfStore(location);
  const credentials = environmentCredentials(environment);
  return name && secretSource(name, { fetch, clock, environment, credentials, pause: (ms) => pause(ms) });
}
