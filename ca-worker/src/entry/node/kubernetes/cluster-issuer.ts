import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import type { ClusterIssuer } from "../../../compose.ts";
import { retrying } from "../retry.ts";
import type { ApiServer } from "./api-server.ts";

// The default binding of this ClusterRole is to all service accounts.
const rule = (path: string) => `get ${path} (ClusterRole system:service-account-issuer-discovery)`;
const configurationPath = "/.well-known/openid-configuration";
const keysPath = "/openid/v1/jwks";

/**
 * Learns from the API server under what name it issues tokens. Its `jwks_uri` is not followed: it can lead out of the
 * cluster, and the same keys are at a fixed path of the API server itself.
 * @throws SignetError `issuer-unavailable`
 */
export async function discoverClusterIssuer(
  api: ApiServer,
  logger: Logger,
  patienceSeconds: number,
): Promise<ClusterIssuer> {
  const name = await retrying(() => readName(api), {
    patienceSeconds,
    onFailure: ({ code, message }) =>
      logger.warn({ event: "issuer", code, error: message }, "the cluster's issuer cannot be had yet"),
  });
  logger.info({ event: "issuer", issuer: name }, "the cluster's issuer is known");
  return {
    name,
    async load() {
      const now = await readName(api);
      if (now !== name) {
        throw new SignetError(
          "issuer-unavailable",
          `the API server now issues as ${now}; start the CA anew to take that`,
        );
      }
      return (await api.call({ method: "GET", path: keysPath, rule: rule(keysPath) })).body;
    },
  };
}

async function readName(api: ApiServer): Promise<string> {
  const { body } = await api.call({ method: "GET", path: configurationPath, rule: rule(configurationPath) });
  const { issuer } = body;
  if (typeof issuer === "string" && issuer !== "") return issuer;
  throw new SignetError("issuer-unavailable", `the API server's ${configurationPath} names no issuer`);
}
