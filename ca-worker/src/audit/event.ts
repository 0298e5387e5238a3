import { publicKeyKinds } from "@signet/shared/public-key";
import * as v from "valibot";

/**
 * The audit events, in the form that every sink gets. They say who asked, for what, and what came of it; never a token,
 * a key, a CSR or a certificate. An unknown caller's claims are not in them: only what was verified counts as said.
 */

/** RFC 3339 in UTC. */
const time = v.pipe(v.string(), v.isoTimestamp());
const optionalText = v.optional(v.string());

const common = {
  time,
  /** As in the answer's `x-request-id`; of an item of a batch with its index behind, as in `4f0c…-12`. */
  requestId: v.string(),
};

/** From the verified tokens. */
const caller = {
  issuer: v.string(),
  /** `system:serviceaccount:<namespace>:<name>`. */
  subject: v.string(),
  /** `jti`, by which the API server's own audit log names the token (KEP-4193). */
  tokenId: optionalText,
  pod: v.string(),
  podUid: v.string(),
  /** Absent where the token names no node. */
  node: optionalText,
  nodeUid: optionalText,
  /** The agent's pod; absent where node binding is off. */
  agentPod: optionalText,
};

const certificate = {
  spiffeId: v.string(),
  /** Absent where the certificate has none. */
  dnsNames: v.optional(v.array(v.string())),
  /** Name of the policy rule that let it be. */
  rule: v.string(),
  keyKind: v.picklist(publicKeyKinds),
  /** Lower-case hex. */
  serialNumber: v.string(),
  notAfter: time,
  /** Id of the authority. */
  authority: v.string(),
};

export const auditEvent = v.variant("event", [
  /** Recorded before the signature is made. One without its `signed` is a certificate that nobody got. */
  v.strictObject({ event: v.literal("signing"), ...common, ...caller, ...certificate }),
  v.strictObject({ event: v.literal("signed"), ...common, ...caller, ...certificate }),
  /** A retry that got the certificate of the first try; `serialNumber` is that one's. */
  v.strictObject({ event: v.literal("repeated"), ...common, ...caller, ...certificate }),
  v.strictObject({
    event: v.literal("refused"),
    ...common,
    /** Absent until both tokens hold. */
    ...v.partial(v.strictObject(caller)).entries,
    /** Of `SignetError`. */
    code: v.string(),
    /** For people; its wording may change. */
    reason: v.string(),
    /** Name or code of what lies beneath. */
    cause: optionalText,
  }),
]);
export type AuditEvent = v.InferOutput<typeof auditEvent>;

type Untimed<Event> = Event extends unknown ? Omit<Event, "time"> : never;
/** An event before it has its time, which a log line has from its logger. */
export type UntimedEvent = Untimed<AuditEvent>;
