import { asSignetError, SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { parseStrictJson } from "@signet/shared/strict-json";
import * as v from "valibot";
import type { Caller } from "../types.ts";

/** Those who get no certificate, whatever rules say. */
export interface DenyList {
  /** As {@link SpiffeId.toString} writes them. */
  readonly spiffeIds: ReadonlySet<string>;
  /** `jti` of tokens. */
  readonly tokenIds: ReadonlySet<string>;
  readonly podUids: ReadonlySet<string>;
  readonly nodeUids: ReadonlySet<string>;
}
export type DenyListMember = keyof DenyList;

const identifiers = v.optional(
  v.array(v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,256}$/, "must be 1 to 256 visible ASCII characters"))),
  [],
);

const spiffeIds = v.optional(
  v.array(
    v.pipe(
      v.string(),
      v.rawTransform<string, string>(({ dataset, addIssue, NEVER }) => {
        try {
          const id = SpiffeId.parse(dataset.value);
          if (id.path !== "") return id.toString();
          // Whoever wrote it meant to deny everybody of it, and would deny nobody.
          addIssue({ message: "is a trust domain's own ID, which no account has; policy.default and rules deny many" });
          return NEVER;
        } catch (error) {
          addIssue({ message: asSignetError(error, "malformed-spiffe-id").message });
          return NEVER;
        }
      }),
    ),
  ),
  [],
);

// A member that is not known is one that somebody has misspelt, and would deny nobody.
const schema = v.strictObject({ spiffeIds, tokenIds: identifiers, podUids: identifiers, nodeUids: identifiers });

/**
 * Reads a deny list, `{"spiffeIds": [], "tokenIds": [], "podUids": [], "nodeUids": []}`, of which each member may be
 * left out.
 * @throws SignetError `source-unavailable` with the first faults; one of them spoils the whole, so that what an
 *   operator meant to deny is never half denied without anybody being told
 */
export function parseDenyList(text: string): DenyList {
  const result = v.safeParse(schema, readJson(text));
  if (!result.success) {
    const faults = describeIssues(result.issues);
    const more = faults.length > maxFaults ? [`and ${faults.length - maxFaults} more`] : [];
    throw new SignetError("source-unavailable", [...faults.slice(0, maxFaults), ...more].join("; "));
  }
  const list = result.output;
  return {
    spiffeIds: new Set(list.spiffeIds),
    tokenIds: new Set(list.tokenIds),
    podUids: new Set(list.podUids),
    nodeUids: new Set(list.nodeUids),
  };
}

const maxFaults = 5;

function readJson(text: string): unknown {
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    throw new SignetError("source-unavailable", asSignetError(error, "malformed-json").message, { cause: error });
  }
  // To valibot an array is an object with none of the members, which here would deny nobody.
  if (Array.isArray(value)) throw new SignetError("source-unavailable", "it is an array; an Object is expected");
  return value;
}

/**
 * Which member of a list names a caller; undefined where none does. The agent that asks counts as much as the workload:
 * one whose token, pod or node is denied gets nothing for anybody.
 */
export function deniedBy(
  { spiffeIds: ids, tokenIds, podUids, nodeUids }: DenyList,
  spiffeId: SpiffeId,
  { workload, agent }: Caller,
): DenyListMember | undefined {
  if (ids.has(spiffeId.toString())) return "spiffeIds";
  for (const token of [workload, agent]) {
    if (token === undefined) continue;
    if (token.tokenId !== undefined && tokenIds.has(token.tokenId)) return "tokenIds";
    if (podUids.has(token.podUid)) return "podUids";
    if (token.nodeUid !== undefined && nodeUids.has(token.nodeUid)) return "nodeUids";
  }
  return undefined;
}
