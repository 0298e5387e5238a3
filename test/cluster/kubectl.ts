import { runToEnd } from "../support/processes.ts";

/** kubectl against the current cluster; gives its standard output. */
export async function kubectl(...args: string[]): Promise<string> {
  return (await runToEnd("kubectl", args)).stdout;
}

export async function kubectlJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl(...args, "-o", "json")) as T;
}

export async function apply(...manifests: object[]): Promise<void> {
  const list = { apiVersion: "v1", kind: "List", items: manifests };
  await runToEnd("kubectl", ["apply", "-f", "-"], { input: JSON.stringify(list) });
}

/** A token that the API server makes. */
export async function createToken(namespace: string, serviceAccount: string, ...more: string[]): Promise<string> {
  return (await kubectl("create", "token", serviceAccount, "-n", namespace, ...more)).trim();
}

interface View {
  readonly "current-context"?: string;
  readonly clusters?: { readonly cluster: { readonly server: string } }[];
}

/** The node of the cluster that the repository's own CI starts; tests put a second one beside it for a while. */
export const ciNode = "node-1";
const ciNodes = [ciNode, "node-2"];

/**
 * Makes sure that the current cluster is one that nobody misses: it is on this machine, and it is kind's or CI's.
 * SIGNET_TEST_CLUSTER=yes says so of any other.
 */
export async function requireThrowAwayCluster(): Promise<void> {
  if (process.env.SIGNET_TEST_CLUSTER === "yes") return;
  const view = await kubectlJson<View>("config", "view", "--minify");
  const context = view["current-context"] ?? "";
  const server = view.clusters?.[0]?.cluster.server ?? "";
  const refuse = (why: string) =>
    new Error(
      `these tests make and delete namespaces, and context "${context}" (${server}) ${why}; ` +
        "use a kind cluster, or say SIGNET_TEST_CLUSTER=yes",
    );
  if (!["127.0.0.1", "localhost", "[::1]"].includes(new URL(server).hostname)) throw refuse("is not on this machine");
  if (context.startsWith("kind-")) return;
  const nodes = await kubectlJson<{ items: { metadata: { name: string } }[] }>("get", "nodes");
  const names = nodes.items.map(({ metadata }) => metadata.name);
  if (names.length === 0) return; // An API server alone, such as CI's of 1.24: nothing runs there.
  if (!names.includes(ciNode) || names.some((name) => !ciNodes.includes(name)))
    throw refuse("does not look throw-away");
}
