import { SignetError } from "@signet/shared/errors";
import { clean } from "@signet/shared/terminal/text";
import { type CallEnd, statusName } from "../grpc/status.ts";
import { readTokenFile } from "../identity/token-file.ts";
import { settings } from "../settings.ts";
import { type Finding, fail } from "../terminal/finding.ts";
import type { CommandIo } from "../terminal/io.ts";
import type { Question } from "./ask.ts";
import { collect, type Harvest } from "./collect.ts";
import { GrpcConnection } from "./connection.ts";
import { mendCall } from "./explain.ts";
import type { FetchFlags } from "./flags.ts";
import { type Part, show } from "./report.ts";
import type { SeenSecret } from "./secrets.ts";
import { verify } from "./verify.ts";
import { writeFiles } from "./write-files.ts";

const handshakeSeconds = 5;

/**
 * Runs `signet-agent fetch`.
 * @returns the exit code: 0, or 1 when something is wrong, which was told
 * @throws SignetError `agent-unreachable`; `config-invalid` for a token file or --out; `malformed-request` for a response
 *   that no Envoy could use
 */
export async function runFetch(flags: FetchFlags, io: CommandIo): Promise<number> {
  const { env, interrupted, now, tell } = io;
  const { out, showKey, timeout, watch = false } = flags;
  // In the agent's own container its variables are there.
  const setting = (key: "socket" | "svidName" | "bundleName") => env[settings[key].env] ?? settings[key].fallback ?? "";
  const socket = flags.socket ?? setting("socket");
  if (socket === "off") {
    const reason = "there is no socket that pods share; name a pod's own with --socket PATH";
    throw new SignetError("config-invalid", `${settings.socket.env} is off: ${reason}`);
  }
  const bundleName = flags.bundleName ?? setting("bundleName");
  const question = questionOf(flags, setting("svidName"), bundleName);
  if (showKey === true) tell("signet-agent: --show-key prints the private key; let nobody else see it\n");

  let code = 0;
  const tellPart = (part: Omit<Part, "socket" | "method">) => {
    const findings = [...part.faults, ...(part.verification ?? [])];
    if (findings.some(({ level }) => level !== "ok")) code = 1;
    show({ ...part, socket, method: question.method }, flags, io);
  };
  const verified = ({ secrets }: Harvest): readonly Finding[] | undefined => {
    if (flags.verify !== true) return undefined;
    const bundle = secrets.get(bundleName);
    const certificates = [...secrets.values()].filter((secret) => secret.kind === "certificate");
    if (certificates.length === 0) return [fail("no certificate came, so there is nothing to verify")];
    return certificates.flatMap((one) => verify(one, bundle?.kind === "bundle" ? bundle : undefined, now()));
  };

  const connection = await GrpcConnection.open(socket, Math.min(handshakeSeconds, timeout) * 1_000);
  try {
    const harvest = await collect(connection, question, {
      timeoutSeconds: timeout,
      stay: watch,
      interrupted,
      onUpdate: (update, soFar) => {
        if (!watch) return;
        const whole = soFar.missing.length === 0;
        tellPart({
          secrets: update.secrets,
          faults: update.unknown.map(meansNothing),
          verification: whole ? verified(soFar) : undefined,
        });
      },
      onLate: (missing) => {
        if (watch) tellPart({ secrets: [], faults: missing.map((name) => late(name, flags)), verification: undefined });
      },
    });
    const faults = harvest.end === undefined ? [] : [callFault(harvest.end, question)];
    if (!watch) {
      faults.push(...[...harvest.unknown].map(meansNothing));
      if (harvest.end === undefined && !interrupted.aborted) {
        faults.push(...harvest.missing.map((name) => late(name, flags)));
      }
      const whole = harvest.end === undefined || harvest.secrets.size > 0;
      tellPart({
        secrets: asAsked(question.names, harvest),
        faults,
        verification: whole ? verified(harvest) : undefined,
      });
    } else if (faults.length > 0) tellPart({ secrets: [], faults, verification: undefined });
    if (out !== undefined) writeOut(out, harvest, bundleName, tell);
    return code;
  } finally {
    connection.close();
  }
}

/** What came, in the order of the names; it may have come in any. */
function asAsked(names: readonly string[], { secrets }: Harvest): SeenSecret[] {
  return [...secrets.values()].sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
}

function questionOf(flags: FetchFlags, svidName: string, bundleName: string): Question {
  const { delta, name, out, token, validator, verify: verifies } = flags;
  const names = new Set(name ?? [svidName, bundleName]);
  // A chain can be held against nothing else, neither now nor by whoever gets the files.
  if (verifies === true || out !== undefined) names.add(bundleName);
  return {
    method: delta === true ? "DeltaSecrets" : "StreamSecrets",
    names: [...names],
    validator,
    token: token === undefined ? undefined : readTokenFile(token, "--token"),
  };
}

function callFault({ code, message }: CallEnd, { method, token }: Question): Finding {
  const words = message === "" ? "" : `: ${message}`;
  return fail(`${statusName(code)}${words}`, ...mendCall(code, { method, token: token !== undefined }));
}

function meansNothing(name: string): Finding {
  return fail(
    `the name ${JSON.stringify(name)} means nothing here`,
    "see --svid-name, --bundle-name and --all-bundles-name of the agent: signet-agent run --help",
  );
}

function late(name: string, { delta, timeout }: FetchFlags): Finding {
  return fail(
    `nothing came for ${JSON.stringify(name)} within ${timeout} s`,
    "is there a certificate at all? signet-agent status tells what the CA says",
    ...(delta === true ? [] : ["is it the right name? with --delta the agent tells which names mean nothing"]),
  );
}

function writeOut(directory: string, { secrets }: Harvest, bundleName: string, tell: CommandIo["tell"]): void {
  const certificate = [...secrets.values()].find((one) => one.kind === "certificate");
  const bundle = secrets.get(bundleName);
  for (const path of writeFiles(directory, certificate, bundle?.kind === "bundle" ? bundle : undefined)) {
    const warning = path.endsWith("key.pem") ? ": a private key, outside of any memory now; delete it after use" : "";
    tell(`signet-agent: wrote ${clean(path)}${warning}\n`);
  }
}
