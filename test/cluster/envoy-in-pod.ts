import { shell } from "./shell.ts";

/** What the Envoy beside `sleep` of a namespace says of itself, asked from inside the pod. */
export interface EnvoyView {
  readonly serialNumber: string;
  readonly uptimeSeconds: number;
  readonly restartEpoch: number;
}

const ask = (namespace: string, path: string) =>
  shell(`kubectl exec deploy/sleep -c sleep -n ${namespace} -- curl -s http://127.0.0.1:15000${path}`, { quiet: true });

export async function envoyOf(namespace: string): Promise<EnvoyView> {
  const { certificates } = JSON.parse(await ask(namespace, "/certs")) as {
    certificates: { cert_chain: { serial_number: string }[] }[];
  };
  const info = JSON.parse(await ask(namespace, "/server_info")) as {
    uptime_current_epoch: string;
    command_line_options: { restart_epoch: number };
  };
  return {
    serialNumber: certificates.flatMap(({ cert_chain }) => cert_chain)[0]?.serial_number ?? "",
    uptimeSeconds: Number.parseInt(info.uptime_current_epoch, 10),
    restartEpoch: info.command_line_options.restart_epoch,
  };
}

/** Requests that this Envoy had to send again, and handshakes that failed, so far. */
export async function troublesOf(namespace: string): Promise<number> {
  const filter = "upstream_rq_retry$|ssl.connection_error$|ssl.fail_verify";
  const stats = await ask(namespace, `/stats?filter=${encodeURIComponent(filter)}`);
  const values = stats
    .split("\n")
    .filter(Boolean)
    .map((line) => Number(line.split(": ")[1]));
  if (values.length === 0) throw new Error(`Envoy has no such stats: ${stats}`);
  return values.reduce((sum, value) => sum + value, 0);
}
