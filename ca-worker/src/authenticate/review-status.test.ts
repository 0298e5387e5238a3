import type { ServiceAccountClaims } from "@signet/shared/service-account";
import { describe, expect, test } from "vitest";
import { refusalOf } from "./review-status.ts";

const claims: ServiceAccountClaims = {
  ...{ issuer: "https://issuer", audiences: ["signet-ca"], tokenId: undefined },
  ...{ issuedAt: 0, notBefore: 0, expiresAt: 1 },
  subject: "system:serviceaccount:foo:sleep",
  ...{ namespace: "foo", serviceAccount: "sleep", podName: "sleep-1", podUid: "pod-1" },
  ...{ nodeName: "node-a", nodeUid: "node-1" },
};
const ofBefore130: ServiceAccountClaims = { ...claims, nodeName: undefined, nodeUid: undefined };
const ours = ["signet-ca", "other-of-ours"];

// As Kubernetes 1.35 answers about a token of a pod.
const extra = {
  "authentication.kubernetes.io/credential-id": ["JTI=2f1b7d4a-0a11-4c2e-9f0b-6d7c8e9a0b1c"],
  "authentication.kubernetes.io/node-name": ["node-a"],
  "authentication.kubernetes.io/node-uid": ["node-1"],
  "authentication.kubernetes.io/pod-name": ["sleep-1"],
  "authentication.kubernetes.io/pod-uid": ["pod-1"],
};
const {
  "authentication.kubernetes.io/node-uid": _uid,
  "authentication.kubernetes.io/node-name": _name,
  ...podExtra
} = extra;
const user = {
  username: "system:serviceaccount:foo:sleep",
  uid: "8d1f6a1e-2222-4333-8444-555566667777",
  groups: ["system:serviceaccounts", "system:serviceaccounts:foo", "system:authenticated"],
  extra,
};
const status = { authenticated: true, user, audiences: ["signet-ca"] };
const withExtra = (changes: object) => ({ ...status, user: { ...user, extra: { ...extra, ...changes } } });

describe("the status of a TokenReview", () => {
  test.each([
    { rule: "as Kubernetes 1.30 and newer says it", answer: status, about: claims },
    { rule: "for several audiences of ours", answer: { ...status, audiences: [...ours] }, about: claims },
    {
      rule: "as Kubernetes 1.21 says it, about a token without a node",
      answer: { ...status, user: { ...user, extra: podExtra } },
      about: ofBefore130,
    },
  ])("accept one $rule", ({ answer, about }) => {
    expect(refusalOf(answer, about, ours)).toBeUndefined();
  });

  test.each<{ rule: string; answer: unknown; about?: ServiceAccountClaims }>([
    { rule: "that is none", answer: undefined },
    { rule: "that is null", answer: null },
    { rule: "that is empty", answer: {} },
    { rule: "of a token that is not known", answer: { user: {}, error: "[invalid bearer token]" } },
    { rule: "that says no", answer: { ...status, authenticated: false } },
    { rule: "that says yes in another type", answer: { ...status, authenticated: "true" } },
    { rule: "without audiences: the API server did not look at them", answer: { ...status, audiences: undefined } },
    { rule: "with no audience", answer: { ...status, audiences: [] } },
    { rule: "for the API server's own audience", answer: { ...status, audiences: ["https://kubernetes.default.svc"] } },
    { rule: "for an audience of ours and a foreign one", answer: { ...status, audiences: ["signet-ca", "vault"] } },
    { rule: "with an audience that is no list", answer: { ...status, audiences: "signet-ca" } },
    { rule: "without a user", answer: { ...status, user: undefined } },
    { rule: "of another account", answer: { ...status, user: { ...user, username: `${user.username}2` } } },
    {
      rule: "without extras, as of a token that is bound to no pod",
      answer: { ...status, user: { ...user, extra: {} } },
    },
    { rule: "without the member extra", answer: { ...status, user: { ...user, extra: undefined } } },
    { rule: "of another pod", answer: withExtra({ "authentication.kubernetes.io/pod-uid": ["pod-2"] }) },
    { rule: "of two pods", answer: withExtra({ "authentication.kubernetes.io/pod-uid": ["pod-1", "pod-2"] }) },
    { rule: "of no pod", answer: withExtra({ "authentication.kubernetes.io/pod-uid": [] }) },
    { rule: "of another node", answer: withExtra({ "authentication.kubernetes.io/node-uid": ["node-2"] }) },
    { rule: "that knows of no node where the token does", answer: { ...status, user: { ...user, extra: podExtra } } },
    { rule: "that knows of a node where the token does not", answer: status, about: ofBefore130 },
  ])("refuse one $rule", ({ answer, about = claims }) => {
    expect(refusalOf(answer, about, ours)).toEqual(expect.any(String));
  });
});
