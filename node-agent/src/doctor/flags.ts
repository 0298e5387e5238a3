import type { Command } from "commander";
import type { SettingKey } from "../settings.ts";

/** The command line of `doctor`, as given: the settings of `run`, and its own. */
export interface DoctorFlags {
  readonly configFile: string | undefined;
  readonly flags: Partial<Record<SettingKey, string>>;
  /** Flags and words that mean nothing here. */
  readonly faults: readonly string[];
  /** File with a pod's token. */
  readonly token: string | undefined;
  readonly json: boolean;
}

export const doctorExplanation = `
Looks at everything that the agent needs, with the same settings as signet-agent run, and says of each fault how to mend
it. It may be run beside an agent or before there is one; it changes nothing, and shows no token.

  configuration  every fault of it
  socket         directory, owner, mode, path, who serves it, and whether it answers as Envoy and Istio's agent expect
  node token     file and its permissions, audience, node, expiry
  pod token      the same for a pod's token, with --token FILE, and whether it is of this node
  CA             for each URL: proxy, name, connection, certificate, health, trust bundle, clock, and whether it accepts
                 the node token (asked with a batch of nothing, with and without it: nothing is signed, and the CA's
                 audit log gets a line for each)
  agent          whether one runs and is ready
  CSI            the kubelet's directories and the driver's registration
  system         clock, file descriptors

Examples:
  signet-agent doctor --config agent.jsonc
  signet-agent doctor --ca-url https://ca.example.com --trust-domain cluster.local --token ./pod-token
  kubectl exec -n signet-system ds/signet-node-agent -- signet-agent doctor

Exit codes:
  0   everything is as it should be
  1   there are warnings
  2   something is broken, or the command line or configuration is wrong
`;

/** What of `doctor` is not a setting of `run`. */
export function addDoctorOptions(command: Command): Command {
  return command
    .option("--token <file>", "a pod's token to look at, too")
    .option("--json", "JSON: { level, sections: [{ title, findings: [{ level, seen, mend }] }] }")
    .addHelpText("after", doctorExplanation);
}
