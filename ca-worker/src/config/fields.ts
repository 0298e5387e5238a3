import { parseDuration } from "@signet/shared/duration";
import { asSignetError } from "@signet/shared/errors";
import { TrustDomain } from "@signet/shared/spiffe-id";
import * as v from "valibot";

/** A check that runs a parser of ours and takes its message for the fault. */
export function parsedBy<Value>(read: (value: Value) => unknown): v.RawCheckAction<Value> {
  return v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      read(dataset.value);
    } catch (error) {
      addIssue({ message: asSignetError(error, "config-invalid").message });
    }
  });
}

/** A duration such as `15m`, within a range; gives seconds. */
export function duration(minSeconds: number, maxSeconds: number, range: string) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
      try {
        return parseDuration(dataset.value);
      } catch (error) {
        addIssue({ message: asSignetError(error, "config-invalid").message });
        return NEVER;
      }
    }),
    v.check((seconds) => seconds >= minSeconds && seconds <= maxSeconds, `must be from ${range}`),
  );
}

const patternForm = 'must be a name of lower-case letters, digits and "-", or the beginning of one with "*" at its end';
/** An exact namespace, or the beginning of some with `*` at its end. */
export const namespacePattern = v.pipe(
  v.string(),
  v.regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?|(?:[a-z0-9][a-z0-9-]{0,61})?\*)$/, patternForm),
);
/** The same for service accounts, whose names may have dots. */
export const accountPattern = v.pipe(
  v.string(),
  v.maxLength(253),
  v.regex(
    /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|(?:[a-z0-9][a-z0-9.-]*)?\*)$/,
    patternForm,
  ),
);

export const trustDomain = v.pipe(v.string(), parsedBy<string>(TrustDomain.parse));
/** Seconds. */
export const day = 86_400;

/** Where a check that looks at several members found its fault. */
export function issuePath(...keys: [string | number, ...(string | number)[]]): [v.IssuePathItem, ...v.IssuePathItem[]] {
  const item = (key: string | number): v.IssuePathItem => ({
    ...{ type: "unknown", origin: "value", input: undefined, key, value: undefined },
  });
  const [first, ...rest] = keys;
  return [item(first), ...rest.map(item)];
}
