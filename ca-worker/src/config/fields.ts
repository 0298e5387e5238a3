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

export const trustDomain = v.pipe(v.string(), parsedBy<string>(TrustDomain.parse));
/** Seconds. */
export const day = 86_400;
