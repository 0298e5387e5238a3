import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SignetError, type SignetErrorCode } from "@signet/shared/errors";

/** Where a pod finds its API server. Everything in it is the operator's, nothing comes from a request. */
export interface ClusterOptions {
  /** Has KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in a pod. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The folder with the service account's `token` and the API server's `ca.crt`. */
  readonly folder: string;
  /** Seconds that a start waits for an API server that is away, and for another replica's authority. */
  readonly patienceSeconds: number;
}

/** The cluster of the pod that this process runs in. */
export const podCluster: ClusterOptions = {
  environment: process.env,
  folder: "/var/run/secrets/kubernetes.io/serviceaccount",
  patienceSeconds: 60,
};

/** How to reach the API server, and as whom. */
export interface ClusterAccess {
  readonly host: string;
  readonly port: number;
  /**
   * Both files as they are now: kubelet writes a new token long before the old one ends.
   * @throws SignetError of the code that is given
   */
  credentials(code: SignetErrorCode): Promise<{ readonly token: string; readonly ca: string }>;
}

/**
 * @param what the setting that needs it, for the message
 * @throws SignetError `config-invalid` outside of a pod
 */
export function clusterAccess({ environment, folder }: ClusterOptions, what: string): ClusterAccess {
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "" } = environment;
  if (host === "" || !/^\d{1,5}$/.test(port)) {
    throw new SignetError(
      "config-invalid",
      `${what} works in a pod only: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set`,
    );
  }
  return {
    host,
    port: Number(port),
    async credentials(code) {
      const [token, ca] = await Promise.all([read(folder, "token", code), read(folder, "ca.crt", code)]);
      // Checked before it goes into a header, so that no error can be about its characters.
      if (!/^[\w.~+/=-]+$/.test(token)) throw new SignetError(code, `${join(folder, "token")} holds no token`);
      return { token, ca };
    },
  };
}

async function read(folder: string, name: string, code: SignetErrorCode): Promise<string> {
  const path = join(folder, name);
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new SignetError(
      code,
      `${path} cannot be read (${(cause as NodeJS.ErrnoException).code}); the pod needs its service account's token: automountServiceAccountToken`,
      { cause },
    );
  }
}
