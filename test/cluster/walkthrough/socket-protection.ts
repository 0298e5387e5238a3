import { afterAll, describe, expect, it } from "vitest";
import { until } from "../../support/poll.ts";
import { apply, kubectlJson } from "../kubectl.ts";
import { applyPolicies } from "../policies.ts";
import { chapter, shell } from "../shell.ts";

interface Mount {
  readonly name: string;
  readonly mountPath: string;
}

interface PodSpec {
  readonly volumes: { readonly name: string }[];
  readonly containers: { readonly env?: { readonly name: string }[]; readonly volumeMounts: Mount[] }[];
}

interface Terminated {
  readonly exitCode: number;
  readonly message?: string;
}

interface PodStatus {
  readonly containerStatuses?: {
    readonly state: { readonly terminated?: Terminated };
    readonly lastState: { readonly terminated?: Terminated };
  }[];
}

const name = "signet-broken-agent";
const namespace = "signet-system";
const socketDirectory = "/var/run/sds";

/** The installed DaemonSet under another name, with another volume in the place of the socket's directory. */
async function startBrokenAgent(change: (mount: Mount) => { volume?: object; mount?: object }): Promise<void> {
  const { spec } = (
    await kubectlJson<{ spec: { template: { spec: PodSpec } } }>(
      ...["get", "daemonset", "signet-node-agent", "-n", namespace],
    )
  ).spec.template;
  const [container] = spec.containers;
  const mount = container?.volumeMounts.find(({ mountPath }) => mountPath === socketDirectory);
  if (container === undefined || mount === undefined) throw new Error(`the agent does not mount ${socketDirectory}`);
  const changed = change(mount);
  const replace = <T extends { readonly name: string }>(list: readonly T[], by: object | undefined) =>
    list.map((one) => (one.name === mount.name && by !== undefined ? { name: one.name, ...by } : one));
  const labels = { app: name };
  await apply({
    ...{ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name, namespace } },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...spec,
          volumes: replace(spec.volumes, changed.volume),
          containers: [
            {
              ...container,
              // The kubelet's door is the running agent's.
              env: container.env?.filter((one) => !one.name.startsWith("SIGNET_CSI_")),
              volumeMounts: replace(container.volumeMounts, changed.mount),
            },
          ],
        },
      },
    },
  });
}

/** How the agent ended, as its pod's status tells it. */
async function end(): Promise<Terminated> {
  return await until(
    "the agent to fail",
    async () => {
      const { items } = await kubectlJson<{ items: { status: PodStatus }[] }>(
        ...["get", "pods", "-n", namespace, "-l", `app=${name}`],
      );
      const status = items[0]?.status.containerStatuses?.[0];
      return status?.lastState.terminated ?? status?.state.terminated;
    },
    { within: 120_000, every: 500 },
  );
}

export function socketProtection(step: string): void {
  describe(`${step}. the socket`, () => {
    afterAll(async () => {
      await shell(`kubectl delete daemonset ${name} -n ${namespace} --ignore-not-found`, { quiet: true });
    });

    it.each([
      {
        what: "a directory that it may not write into",
        change: ({ mountPath }: Mount) => ({ mount: { mountPath, readOnly: true } }),
        says: /\/var\/run\/sds cannot be written to \(EROFS\); mount it writable/,
      },
      {
        what: "no directory",
        change: () => ({ mount: { mountPath: "/var/run/elsewhere" } }),
        says: /\/var\/run\/sds is not there \(ENOENT\); create it, or mount it into this container/,
      },
    ])("an agent with $what does not start, and the DaemonSet shows why", async ({ change, says }) => {
      chapter(`${step}. The agent fails to start unless it can create its socket`);
      await startBrokenAgent(change);
      const { exitCode, message } = await end();
      await shell(`kubectl get daemonset ${name} -n ${namespace}`);
      const described = await shell(
        `kubectl describe pod -l app=${name} -n ${namespace} | grep -E -A 6 'State: +(Terminated|Waiting)'`,
      );
      expect(exitCode).toBe(73);
      expect(message).toMatch(says);
      expect(described).toMatch(says);
      const ready = `kubectl get daemonset ${name} -n ${namespace} -o jsonpath={.status.numberReady}`;
      expect(await shell(ready, { quiet: true })).toBe("0");
      await shell(`kubectl delete daemonset ${name} -n ${namespace} --cascade=foreground`);
    });

    it("policies protect the socket's directory", async () => {
      await shell("kubectl apply -k infra/kubernetes/policies/validating-admission-policy");
      await applyPolicies();
    });
  });
}
