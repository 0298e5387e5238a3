import { asSignetError } from "@signet/shared/errors";
import { readSnapshot, type Status } from "../status/read.ts";
import { askAdmin, shownAddress } from "../terminal/admin-client.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { version } from "../version.ts";
import type { Patient, Section } from "./section.ts";

/**
 * Asks the agent that runs here how it is.
 * @param isLive whether somebody serves the agent's socket
 */
export async function examineAgent(
  { config, interrupted }: Patient,
  isLive: boolean,
): Promise<Section & { readonly status: Status | undefined }> {
  const { admin } = config;
  if (admin === "off") {
    return { title: "agent", findings: [ok("its admin routes are off: it cannot be asked")], status: undefined };
  }
  const title = `agent at ${shownAddress(admin)}`;
  let ready: Finding;
  try {
    const { body, status } = await askAdmin(admin, "/readyz", interrupted);
    ready = readReadiness(status, body);
  } catch (error) {
    const { message } = asSignetError(error, "agent-unreachable");
    const finding = isLive
      ? fail(
          `${message} But somebody serves its socket`,
          "is --admin here the agent's? is it an agent that hangs? see its log",
        )
      : warn("no agent runs here", "signet-agent run with the same settings; once it runs, doctor sees more");
    return { title, findings: [finding], status: undefined };
  }
  try {
    const { status } = await readSnapshot(admin, interrupted);
    return { title, findings: [ready, examineVersion(status)], status };
  } catch (error) {
    const mend = "use the signet-agent of the version that runs";
    return {
      title,
      findings: [ready, warn(asSignetError(error, "agent-unreachable").message, mend)],
      status: undefined,
    };
  }
}

function readReadiness(status: number, body: string): Finding {
  if (status === 200) return ok("it is ready");
  if (status !== 503) return fail(`/readyz answers ${status}`, "something else listens there: see --admin");
  let reason = "no reason given";
  try {
    const told = (JSON.parse(body) as { reason?: unknown } | null)?.reason;
    if (typeof told === "string") reason = told;
  } catch {
    // It stays without a reason.
  }
  return fail(`it is not ready: ${reason}`, "see the other sections for the cause, then the agent's log");
}

function examineVersion(status: Status): Finding {
  if (status.version === version) return ok(`version ${version}`);
  return warn(`it is of version ${status.version}, this program of ${version}`, "restart the agent if it was upgraded");
}
