import { parseDuration } from "@signet/shared/duration";
import { asSignetError } from "@signet/shared/errors";
import { type Command, InvalidArgumentError, Option } from "commander";
import { validators } from "../sds/validator.ts";

/** The command line of `fetch`, as given. */
export interface FetchFlags {
  readonly socket?: string;
  readonly token?: string;
  readonly name?: readonly string[];
  readonly bundleName?: string;
  readonly validator?: "trusted-ca" | "spiffe";
  readonly delta?: boolean;
  readonly verify?: boolean;
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly showKey?: boolean;
  readonly out?: string;
  /** Seconds. */
  readonly timeout: number;
}

const explanation = `
Asks the socket as an Envoy does, acknowledges what comes, and shows it: of a certificate its SPIFFE ID, serial number,
validity, key and chain; of a bundle its roots. The private key is received, as Envoy receives it, and not shown.

Examples:
  signet-agent fetch --token /var/run/secrets/tokens/signet-token            on the node's socket, as the token's pod
  signet-agent fetch --socket /var/run/secrets/workload-spiffe-uds/socket    on a pod's own socket: no token is needed
  signet-agent fetch --token FILE --verify                                   and hold it against the SPIFFE rules
  signet-agent fetch --token FILE --watch                                    and show each change until Ctrl-C
  signet-agent fetch --token FILE --delta --name default --name nonsense     tells which names mean nothing
  signet-agent fetch --token FILE --out ./identity                           writes svid.pem, key.pem (0600), bundle.pem

On a node, through the agent's pod:
  kubectl exec -n signet-system ds/signet-node-agent -- signet-agent fetch --verify \\
    --socket /var/lib/kubelet/pods/POD_UID/volumes/kubernetes.io~csi/VOLUME/mount/socket

Exit codes:
  0   everything came, and with --verify everything holds
  1   the agent refused, something did not come in time, or a rule is broken; each is told with what mends it
  2   the command line is wrong
  69  nobody answers on the socket
`;

/** Adds the command to the program; `action` gets what was given. */
export function addFetchCommand(program: Command, action: (flags: FetchFlags) => void): void {
  program
    .command("fetch")
    .description("ask a socket for secrets as an Envoy does, show and verify what comes")
    .option("--socket <path>", "socket to ask (default: SIGNET_SOCKET, or /var/run/sds/uds_path)")
    .option("--token <file>", "the pod's token, sent in the header authorization; a pod's own socket needs none")
    .option("--name <name...>", "names to ask for (default: the certificate's, \"default\", and the bundle's)")
    .option("--bundle-name <name>", "name of the trust bundle (default: SIGNET_BUNDLE_NAME, or ROOTCA)")
    .addOption(new Option("--validator <form>", "ask for bundles in this form").choices(validators))
    .option("--delta", "ask with DeltaSecrets instead of StreamSecrets")
    .option("--verify", "hold the certificate against its key, the bundle, the clock and the X509-SVID rules")
    .option("--watch", "stay, and show each change until interrupted")
    .addOption(
      new Option("--timeout <duration>", "how long to wait for everything to come")
        .argParser(readTimeout)
        .default(30, "30s"),
    )
    .option("--out <dir>", "write svid.pem, key.pem (mode 0600) and bundle.pem into this directory")
    .option("--show-key", "print the private key too")
    .option("--json", "JSON, one document a line")
    .addHelpText("after", explanation)
    .action((flags: FetchFlags) => action(flags));
}

function readTimeout(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(asSignetError(error, "config-invalid").message);
  }
}
