import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AccountPath, defaultAccountPath } from "@signet/shared/account-path";
import { SignetError } from "@signet/shared/errors";
import { TrustDomain } from "@signet/shared/spiffe-id";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NodePublishVolumeRequestSchema } from "../gen/csi/v1/csi_pb.ts";
import { readCaller } from "../identity/caller.ts";
import { readPublishRequest } from "./publish-request.ts";
import { readTarget } from "./target.ts";

const kubeletDir = "/var/lib/kubelet";
const prefix = "csi.storage.k8s.io/";
const checks = {
  kubeletDir,
  readCaller: (token: string) =>
    readCaller(token, {
      now: () => 1_000,
      trustDomain: TrustDomain.parse("cluster.local"),
      accountPath: AccountPath.parse(defaultAccountPath),
      nodeUid: () => undefined,
    }),
};

const uid = "c516fdf4-1563-416d-8af8-68c3b8267af6";
const path = `${kubeletDir}/pods/${uid}/volumes/kubernetes.io~csi/identity/mount`;

const payload = fc.record(
  {
    iss: fc.constant("https://issuer.test"),
    aud: fc.constant(["signet-ca"]),
    sub: fc.constantFrom("system:serviceaccount:foo:sleep", "system:serviceaccount:foo:admin"),
    iat: fc.constant(900),
    nbf: fc.constant(900),
    exp: fc.constantFrom(2_000, 10),
    "kubernetes.io": fc.record({
      namespace: fc.constantFrom("foo", "bar"),
      serviceaccount: fc.record({ name: fc.constantFrom("sleep", "admin") }),
      pod: fc.record({ name: fc.constant("sleep-1"), uid: fc.constantFrom(uid, "another") }),
    }),
  },
  { requiredKeys: ["iss", "aud", "sub", "iat", "nbf", "exp", "kubernetes.io"] },
);
const token = fc.oneof(
  payload.map((claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`),
  fc.string(),
);
const tokens = fc.oneof(
  token.map((text) => JSON.stringify({ "signet-ca": { token: text } })),
  fc.json(),
  fc.string(),
);
const contextKey = fc.oneof(
  fc.constantFrom(
    ...["ephemeral", "pod.name", "pod.namespace", "pod.uid", "serviceAccount.name"].map((k) => prefix + k),
  ),
  fc.constant(`${prefix}serviceAccount.tokens`),
  fc.string(),
);
const request = fc.record({
  volumeId: fc.constantFrom("csi-1", ""),
  targetPath: fc.oneof(
    fc.constant(path),
    fc.string(),
    fc.string().map((end) => `${kubeletDir}/pods/${end}`),
  ),
  readonly: fc.boolean(),
  secrets: fc.dictionary(contextKey, tokens),
  volumeContext: fc.tuple(fc.dictionary(contextKey, fc.string()), tokens).map(([context, text]) => ({
    ...context,
    [`${prefix}ephemeral`]: "true",
    [`${prefix}serviceAccount.tokens`]: text,
  })),
});

test("any request is read or refused with a code; what is read is the pod of the path, and its token's", () => {
  let read = 0;
  fc.assert(
    fc.property(request, (parts) => {
      const bytes = toBinary(NodePublishVolumeRequestSchema, create(NodePublishVolumeRequestSchema, parts));
      try {
        const { caller, target } = readPublishRequest(fromBinary(NodePublishVolumeRequestSchema, bytes), checks);
        read++;
        expect(target).toEqual({ path, podUid: uid, volume: "identity" });
        expect(caller.claims.podUid).toBe(uid);
        expect(parts.readonly).toBe(true);
      } catch (error) {
        if (!(error instanceof SignetError)) throw error;
        const [longest = ""] = Object.values(parts.volumeContext).sort((a, b) => b.length - a.length);
        if (longest.length > 40) expect(error.message).not.toContain(longest);
      }
    }),
    {
      numRuns: 2_000,
      examples: [
        [
          {
            ...{ volumeId: "csi-1", targetPath: path, readonly: true, secrets: {} },
            volumeContext: {
              [`${prefix}ephemeral`]: "true",
              [`${prefix}serviceAccount.tokens`]: JSON.stringify({
                "signet-ca": {
                  token: `e30.${Buffer.from(
                    JSON.stringify({
                      ...{ iss: "https://issuer.test", aud: ["signet-ca"], sub: "system:serviceaccount:foo:sleep" },
                      ...{ iat: 900, nbf: 900, exp: 2_000 },
                      "kubernetes.io": {
                        ...{ namespace: "foo", serviceaccount: { name: "sleep" }, pod: { name: "sleep-1", uid } },
                      },
                    }),
                  ).toString("base64url")}.c2ln`,
                },
              }),
            },
          },
        ],
      ],
    },
  );
  expect(read).toBeGreaterThan(0);
});

test("no target path but the kubelet's own form is taken", () => {
  const part = fc.oneof(
    fc.constantFrom("..", ".", "", "pods", uid, "volumes", "kubernetes.io~csi", "mount"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const given = `${kubeletDir}/${parts.join("/")}`;
      try {
        expect(readTarget(given, kubeletDir).path).toBe(given);
        expect(given).toMatch(
          /^\/var\/lib\/kubelet\/pods\/[0-9A-Za-z-]+\/volumes\/kubernetes\.io~csi\/[0-9a-z.-]+\/mount$/,
        );
        expect(given).not.toContain("/../");
      } catch (error) {
        if (!(error instanceof SignetError)) throw error;
      }
    }),
  );
  expect(readTarget(path, kubeletDir)).toEqual({ path, podUid: uid, volume: "identity" });
  expect(readTarget(path, `${kubeletDir}/`)).toEqual({ path, podUid: uid, volume: "identity" });
});
