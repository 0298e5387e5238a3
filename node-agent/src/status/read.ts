import { asSignetError, SignetError } from "@signet/shared/errors";
import * as v from "valibot";
import { type Address, parseAddress } from "../config.ts";
import { type SettingKey, settings } from "../settings.ts";
import { gatherSettings } from "../sources.ts";
import { askAdmin, shownAddress } from "../terminal/admin-client.ts";

const error = v.nullable(v.object({ code: v.string(), message: v.string() }));
const time = v.pipe(
  v.string(),
  v.transform((text) => Date.parse(text) / 1_000),
  v.finite("a time in RFC 3339"),
);
const maybeTime = v.nullable(time);
/** By code of an error, or another reason. */
const counts = v.record(v.string(), v.number());

/** What of `GET /v1/status` is shown (`status-view.ts` has all of it), times in seconds since the epoch. */
const statusSchema = v.object({
  version: v.string(),
  startedAt: time,
  now: time,
  trustDomain: v.string(),
  nodeName: v.nullable(v.string()),
  socket: v.nullable(v.string()),
  notReady: v.nullable(v.string()),
  csi: v.nullable(
    v.object({
      registered: v.boolean(),
      reason: v.nullable(v.string()),
      volumes: v.number(),
      withoutToken: v.number(),
    }),
  ),
  streams: v.number(),
  counters: v.object({
    nacks: v.number(),
    issuance: counts,
    refusedStreams: counts,
    refusedConnections: counts,
    clockJumps: v.object({ forward: v.number(), back: v.number() }),
  }),
  ca: v.array(
    v.object({
      url: v.string(),
      state: v.picklist(["untried", "healthy", "failing"]),
      lastSuccessAt: maybeTime,
      lastFailureAt: maybeTime,
      lastError: error,
      retryAt: maybeTime,
    }),
  ),
  bundle: v.nullable(
    v.object({
      sequence: v.number(),
      learnedAt: time,
      refreshHintSeconds: v.number(),
      roots: v.array(v.object({ subject: v.string(), notAfter: time, sha256: v.string() })),
    }),
  ),
});
export type Status = v.InferOutput<typeof statusSchema>;

const workloadSchema = v.object({
  spiffeId: v.string(),
  podName: v.string(),
  namespace: v.string(),
  serviceAccount: v.string(),
  /** On the way to its next certificate, see `svid/life.ts`. */
  state: v.string(),
  lastIssuedAt: time,
  notAfter: time,
  renewAt: time,
  streams: v.number(),
  lastError: error,
});
export type WorkloadStatus = v.InferOutput<typeof workloadSchema>;

/** What an agent says of itself at one moment, read and as it came. */
export interface Snapshot {
  readonly status: Status;
  readonly workloads: readonly WorkloadStatus[];
  readonly raw: { readonly status: unknown; readonly workloads: readonly unknown[] };
}

/** @throws SignetError `agent-unreachable` when no agent of this kind answers */
export async function readSnapshot(address: Address, signal: AbortSignal): Promise<Snapshot> {
  const [status, workloads] = await Promise.all([
    readJson(address, "/v1/status", statusSchema, signal),
    readJson(address, "/v1/workloads", v.array(workloadSchema), signal),
  ]);
  return {
    status: status.value,
    workloads: workloads.value,
    raw: { status: status.raw, workloads: workloads.raw as readonly unknown[] },
  };
}

async function readJson<const Schema extends v.GenericSchema>(
  address: Address,
  path: string,
  schema: Schema,
  signal: AbortSignal,
): Promise<{ value: v.InferOutput<Schema>; raw: unknown }> {
  const { body, status } = await askAdmin(address, path, signal);
  const wrong = (reason: string) =>
    new SignetError(
      "agent-unreachable",
      `what answers at ${shownAddress(address)} is no agent of this version: ${reason}`,
    );
  if (status !== 200) throw wrong(`${path} answers ${status}`);
  let raw: unknown;
  try {
    raw = JSON.parse(body);
  } catch {
    throw wrong(`${path} is not JSON`);
  }
  const result = v.safeParse(schema, raw);
  if (result.success) return { value: result.output, raw };
  const [issue] = result.issues;
  throw wrong(`${path}: ${v.getDotPath(issue) ?? "the document"}: ${issue.message}`);
}

/**
 * The admin address of the agent to ask: a flag, SIGNET_ADMIN, the file, or the default.
 * @throws SignetError `config-invalid`
 */
export function adminAddress(given: {
  readonly admin: string | undefined;
  readonly config: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}): Address {
  const key: SettingKey = "admin";
  const { env, flag } = settings[key];
  const gathered = gatherSettings({
    flags: given.admin === undefined ? {} : { admin: given.admin },
    env: { [env]: given.env[env] },
    file: given.config,
  });
  const [fault] = gathered.faults;
  if (fault !== undefined) throw new SignetError("config-invalid", fault);
  const { source, value } = gathered.given.admin ?? { value: settings[key].fallback ?? "", source: key };
  const address = readAddress(value, source);
  if (address === "off") {
    throw new SignetError(
      "config-invalid",
      `${source}: the agent's admin routes are off, so it cannot be asked; see ${flag}`,
    );
  }
  return address;
}

function readAddress(value: string, source: string): Address | "off" {
  try {
    return parseAddress(value);
  } catch (caught) {
    throw new SignetError("config-invalid", `admin (${source}): ${asSignetError(caught, "config-invalid").message}`);
  }
}
