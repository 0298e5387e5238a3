import type { ServiceAccountClaims } from "@signet/shared/service-account";
import * as v from "valibot";

const podUidKey = "authentication.kubernetes.io/pod-uid";
const nodeUidKey = "authentication.kubernetes.io/node-uid";

/** What counts of TokenReviewStatus and UserInfo (authentication.k8s.io/v1). */
const statusSchema = v.object({
  authenticated: v.literal(true),
  audiences: v.array(v.string()),
  user: v.object({
    username: v.string(),
    extra: v.record(v.string(), v.array(v.string())),
  }),
});

/**
 * Why a TokenReview's `status` does not speak for the token of these claims; undefined where it does. An API server that
 * leaves `audiences` out did not look at them: that is a refusal, as the API demands of its clients.
 */
export function refusalOf(
  status: unknown,
  claims: ServiceAccountClaims,
  audiences: readonly string[],
): string | undefined {
  if (!v.is(v.object({ authenticated: v.literal(true) }), status)) return "the API server does not accept it any more";
  const result = v.safeParse(statusSchema, status);
  if (!result.success) return `the answer lacks ${v.getDotPath(result.issues[0]) ?? "its members"}`;
  const { user, audiences: confirmed } = result.output;
  if (confirmed.length === 0 || !confirmed.every((audience) => audiences.includes(audience))) {
    return "the answer is not for our audience";
  }
  if (user.username !== claims.subject) return "the answer is about another account";
  if (!says(user.extra[podUidKey], claims.podUid)) return "the answer is about another pod";
  // Kubernetes before 1.30 knows of no node in either place.
  if (!says(user.extra[nodeUidKey], claims.nodeUid)) return "the answer is about another node";
  return undefined;
}

function says(values: readonly string[] | undefined, uid: string | undefined): boolean {
  const [value, ...more] = values ?? [];
  return value === uid && more.length === 0;
}
