import { makeBootstrap } from "./bootstrap.ts";
import type { InjectOptions } from "./options.ts";
import type { Plan } from "./plan.ts";
import { readinessPort } from "./ports.ts";
import { csiFolder, sharedFolder, tokenFile, tokenFolder } from "./sds.ts";

export const sidecarName = "signet-proxy";

interface Mount {
  readonly volume: { readonly name: string };
  readonly path: string;
}

/** What brings the identity into the pod. */
export function identityMounts({ identity, audience }: InjectOptions): Mount[] {
  if (identity === "csi") {
    const volume = { name: "signet-socket", csi: { driver: "csi.signet.dev", readOnly: true } };
    return [{ volume, path: csiFolder }];
  }
  const token = { path: tokenFile, audience, expirationSeconds: 3_600 };
  return [
    // The folder, never the socket: that would stay the old one after the agent started again.
    { volume: { name: "signet-socket", ...hostPath(sharedFolder) }, path: sharedFolder },
    { volume: { name: "signet-token", ...projected([{ serviceAccountToken: token }]) }, path: tokenFolder },
  ];
}

const hostPath = (path: string) => ({ hostPath: { path, type: "Directory" } });
const projected = (sources: readonly object[]) => ({ projected: { sources } });

/** The container; it fits into the `restricted` Pod Security Standard. */
export function makeSidecar(plan: Plan, options: InjectOptions): object {
  const probe = { httpGet: { path: "/healthz/ready", port: readinessPort } };
  const native = options.sidecar === "native";
  return {
    name: sidecarName,
    image: options.proxyImage,
    imagePullPolicy: "IfNotPresent",
    // As a native sidecar it runs before the application and ends after it.
    ...(native ? { restartPolicy: "Always" } : {}),
    command: ["envoy"],
    args: [
      ...["--service-node", "$(POD_NAME).$(POD_NAMESPACE)", "--service-cluster", "$(SERVICE_ACCOUNT).$(POD_NAMESPACE)"],
      ...["--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"],
      ...["--config-yaml", makeBootstrap(plan, options)],
    ],
    env: [
      fromField("POD_NAME", "metadata.name"),
      fromField("POD_NAMESPACE", "metadata.namespace"),
      fromField("SERVICE_ACCOUNT", "spec.serviceAccountName"),
    ],
    ports: [
      ...plan.inbound.map(({ mtlsPort, appPort }) => ({ name: `mtls-${appPort}`, containerPort: mtlsPort })),
      { name: "signet-ready", containerPort: readinessPort },
    ],
    // The application starts only when the identity is there, however long that takes.
    ...(native ? { startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 86_400 } } : {}),
    readinessProbe: { ...probe, periodSeconds: 5 },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "512Mi" } },
    securityContext: {
      runAsUser: 1337,
      runAsGroup: 1337,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: identityMounts(options).map(({ volume, path }) => ({
      name: volume.name,
      mountPath: path,
      readOnly: true,
    })),
  };
}

const fromField = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
