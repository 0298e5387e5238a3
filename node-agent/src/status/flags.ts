import { type Command, InvalidArgumentError } from "commander";

/** The command line of `status`, as given. */
export interface StatusFlags {
  readonly admin?: string;
  readonly config?: string;
  readonly all?: boolean;
  readonly errors?: boolean;
  readonly namespace?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  /** Seconds. */
  readonly interval: number;
}

const explanation = `
Shows what the agent's page shows: its CA endpoints, the trust bundle, and its workloads, those in trouble first.

Examples:
  signet-agent status
  signet-agent status --errors                          only what is in trouble
  signet-agent status --namespace shop --watch          redrawn every two seconds
  signet-agent status --json | jq '.attention'
  kubectl exec -n signet-system ds/signet-node-agent -- signet-agent status

A workload is
  expired    its certificate has ended: its Envoy's new connections fail
  late       its renewal should have begun and has not
  refused    the CA refuses to renew it, and is asked again; the certificate it has is still good
  tokenless  it is to be renewed, and waits for its Envoy to come back with a fresh token
  failing    the last try to renew it failed, and is repeated
  idle       no Envoy is there for it, so that nothing is renewed
  ok         all is well

Exit codes:
  0   all is well
  1   something needs attention: a workload that is neither ok nor idle, a CA endpoint that fails, no trust bundle,
      a root that ends within a week, the agent not ready
  2   the command line or the configuration file is wrong
  69  the agent cannot be reached
`;

/** Adds the command to the program; `action` gets what was given. */
export function addStatusCommand(program: Command, action: (flags: StatusFlags) => void): void {
  program
    .command("status")
    .description("show how the agent of this node is doing")
    .option("--admin <host:port>", "the agent's admin address (default: SIGNET_ADMIN, or 127.0.0.1:15021)")
    .option("--config <file>", "take the admin address from the agent's configuration file")
    .option("--all", "show every workload, also where the window has no room for those that are ok")
    .option("--errors", "show only workloads in trouble")
    .option("-n, --namespace <name>", "show only workloads of this namespace")
    .option("--watch", "redraw until interrupted")
    .option("--interval <seconds>", "how often to redraw", readInterval, 2)
    .option("--json", "JSON; with --watch one document a line")
    .addHelpText("after", explanation)
    .action((flags: StatusFlags) => action(flags));
}

function readInterval(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.2 && seconds <= 3_600)) throw new InvalidArgumentError("a number of seconds from 0.2 to 3600.");
  return seconds;
}
