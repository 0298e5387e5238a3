/**
 * Istio's sidecar as it is in a mesh of istiod: listeners, clusters and their sds_config are what istiod sends, the
 * identities are Signet's. Ours are the images and Envoy's bootstrap (see ./istio); nothing redirects traffic, so that pods
 * say by a Sidecar resource where they take requests.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { install, uninstall } from "./install.ts";
import { loadIstiodImage, loadProxyImage } from "./istio/image.ts";
import { forgetIstiod, meshLabel, startIstiod } from "./istio/istiod.ts";
import { sidecarPod } from "./istio/pod.ts";
import { SidecarView } from "./istio/view.ts";
import { apply, kubectl, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";

const [namespace, system] = ["istio-mesh", "istio-mesh-system"];
const idOf = (name: string) => `spiffe://cluster.local/ns/${namespace}/sa/${name}`;
const sidecars = ["sleep", "httpbin"].map((name) => new SidecarView(namespace, name));
const [servicePort, inboundPort, appPort] = [8001, 9000, 8000];
let ours = false;

// Tells in its answer what reached it, the header with both identities included.
const app =
  "mkdir -p /www/cgi-bin && printf '#!/bin/sh\\necho; env\\n' >/www/cgi-bin/env && busybox chmod +x /www/cgi-bin/env && " +
  `exec busybox httpd -f -p 127.0.0.1:${appPort} -h /www`;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await loadProxyImage();
  await loadIstiodImage();
  await install("kustomize");
  await makeNamespaces(namespace, system);
  ours = true;
  await kubectl("label", "namespace", namespace, system, meshLabel);
  const discoveryAddress = await startIstiod(system);
  await apply(
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "httpbin", namespace } },
      spec: { selector: { app: "httpbin" }, ports: [{ name: "http", port: servicePort, targetPort: inboundPort }] },
    },
    {
      ...{ apiVersion: "networking.istio.io/v1", kind: "Sidecar", metadata: { name: "httpbin", namespace } },
      spec: {
        workloadSelector: { labels: { app: "httpbin" } },
        ingress: [
          {
            port: { number: inboundPort, protocol: "HTTP", name: "http" },
            ...{ bind: "0.0.0.0", defaultEndpoint: `127.0.0.1:${appPort}`, captureMode: "NONE" },
          },
        ],
      },
    },
  );
  const env = { ISTIO_META_INTERCEPTION_MODE: "NONE" };
  const common = { namespace, workloadSocket: "signet", discoveryAddress, env } as const;
  await apply(
    ...sidecarPod({ ...common, name: "sleep" }),
    ...sidecarPod({ ...common, name: "httpbin", command: ["sh", "-c", app] }),
  );
});
afterAll(async () => {
  if (!ours) return;
  await deleteNamespaces(namespace, system);
  await forgetIstiod();
  await uninstall();
});

it("asks istiod for everything but certificates", async () => {
  for (const sidecar of sidecars) {
    await sidecar.untilReady();
    const log = await sidecar.untilLogged("connected to delta upstream XDS server");
    expect(log).toContain("Existing workload SDS socket found");
    expect(log).not.toContain("CA Endpoint");
  }
});

it("has the secrets that istiod's listeners and clusters name from Signet", async () => {
  for (const sidecar of sidecars) {
    const { identity, issuer } = await sidecar.secrets();
    expect(identity).toBe(`URI:${idOf(sidecar.name)}`);
    expect(issuer).toContain("Signet");
  }
});

it("speaks mutual TLS from sidecar to sidecar as istiod has it, with Signet's identities on both sides", async () => {
  const [sleep] = sidecars;
  const ask = `wget -q -O- --header 'Host: httpbin.${namespace}:${servicePort}' http://127.0.0.1:${servicePort}/cgi-bin/env`;
  const answer = await until("an answer", () => sleep?.inMain(ask), { within: 90_000, every: 1_000 });
  const header = /^HTTP_X_FORWARDED_CLIENT_CERT=(.*)$/m.exec(answer)?.[1];
  expect(header).toContain(`By=${idOf("httpbin")};`);
  expect(header).toContain(`URI=${idOf("sleep")}`);
});
