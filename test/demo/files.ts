import { searchFiles } from "../support/file-search.ts";
import { CheckFailed } from "./check.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";

/** Where Istio mounted keys and certificates before SDS. */
const secretMount = "/etc/certs";

/** Looks for the certificates that the Envoys hold now, and for any private key, in all files that could have them. */
export async function searchAllFiles(screen: Screen, { folder, agent, mesh }: Stage, briefly = false): Promise<void> {
  const certificates = [];
  for (const { name, envoy } of mesh.workloads) {
    const [leaf] = await envoy.admin.chain();
    if (leaf === undefined) throw new CheckFailed(`${name}: its Envoy has no certificate`, [[name, envoy.tail()]]);
    certificates.push({ name: `the certificate of ${name}`, bytes: leaf });
  }
  const pids = [agent.program.pid, ...mesh.workloads.flatMap(({ envoy }) => envoy.pid ?? [])];
  const { files, bytes, missing, found } = searchFiles([folder, secretMount], pids, certificates);
  if (found.length > 0) throw new CheckFailed(`there is key material in files: ${found.join(", ")}`);
  const mount = missing.includes(secretMount) ? `${secretMount} does not exist` : `${secretMount} is searched too`;
  screen.ok(
    `searched ${files} files, ${bytes.toLocaleString("en")} bytes: none has a workload's certificate or a private key`,
  );
  if (briefly) return;
  screen.note(`    all files in ${folder} (logs, configurations, tokens) and all that agent and Envoys hold`);
  screen.note(`    open; looked for DER, PEM, base64 and hex; ${mount}`);
}
