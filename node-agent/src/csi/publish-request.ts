import { SignetError } from "@signet/shared/errors";
import * as v from "valibot";
import type { NodePublishVolumeRequest } from "../gen/csi/v1/csi_pb.ts";
import type { Caller } from "../identity/caller.ts";
import { readTarget, type VolumeTarget } from "./target.ts";

/** What a NodePublishVolume asks for: a socket at `target` for the pod that `caller` is. */
export interface PublishRequest {
  readonly target: VolumeTarget;
  readonly caller: Caller;
}

export interface PublishChecks {
  readonly kubeletDir: string;
  /** May throw SignetError. */
  readonly readCaller: (token: string) => Caller;
}

// What the kubelet adds starts so; everything else in the context is volumeAttributes of the pod's author.
const prefix = "csi.storage.k8s.io/";
const tokensKey = `${prefix}serviceAccount.tokens`;

/**
 * Reads a request of the kubelet (CSI NodePublishVolume; what the kubelet adds: KEP-596, KEP-1855, KEP-5538). The pod is
 * the one of the target path; the token must be that pod's. Nothing that a pod's author can write chooses an identity.
 * @throws SignetError `malformed-request` with what to change; `token-missing`, `malformed-token`, `token-expired`,
 *   `wrong-node`
 */
export function readPublishRequest(request: NodePublishVolumeRequest, checks: PublishChecks): PublishRequest {
  const { readonly, secrets, targetPath, volumeCapability, volumeContext: context, volumeId } = request;
  if (volumeId === "") throw malformed("volume_id is empty");
  const target = readTarget(targetPath, checks.kubeletDir);
  if (context[`${prefix}ephemeral`] !== "true") {
    throw malformed(
      "only ephemeral inline volumes are served; put the volume into the pod as csi: { driver, readOnly }",
    );
  }
  if (volumeCapability !== undefined && volumeCapability.accessType.case !== "mount") {
    throw malformed("the volume is no block device; use it with volumeMounts");
  }
  if (!readonly) throw malformed("the volume must be read-only; write csi: { driver: ..., readOnly: true } in the pod");
  const [unknown] = Object.keys(context).filter((key) => !key.startsWith(prefix));
  if (unknown !== undefined) {
    throw malformed(`volumeAttributes: ${shown(unknown)} is not known here; this volume takes no attributes`);
  }
  const caller = checks.readCaller(readToken(secrets[tokensKey] ?? context[tokensKey]));
  const { claims } = caller;
  const said = (key: string) => context[`${prefix}${key}`];
  const agreement = [
    ["pod uid", claims.podUid, target.podUid],
    ["pod.uid", claims.podUid, said("pod.uid")],
    ["pod.name", claims.podName, said("pod.name")],
    ["pod.namespace", claims.namespace, said("pod.namespace")],
    ["serviceAccount.name", claims.serviceAccount, said("serviceAccount.name")],
  ] as const;
  for (const [what, ofToken, ofRequest] of agreement) {
    if (ofRequest !== undefined && ofToken !== ofRequest) {
      throw malformed(`${what}: the token is another pod's than the volume`);
    }
  }
  return { target, caller };
}

const tokensSchema = v.record(v.string(), v.object({ token: v.string() }));

// `{"<audience>": {"token", "expirationTimestamp"}}`, one for each of the CSIDriver object's tokenRequests.
function readToken(text: string | undefined): string {
  if (text === undefined || text === "") {
    throw new SignetError(
      "token-missing",
      "the kubelet sent no token; the CSIDriver object needs tokenRequests: [{ audience: <the CA's> }]",
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Without the cause: its message quotes the text, which is a token.
    throw malformed(`${tokensKey} is not JSON`);
  }
  const result = v.safeParse(tokensSchema, json);
  const tokens = result.success ? Object.values(result.output) : [];
  const [only, ...more] = tokens;
  if (only === undefined || more.length > 0) {
    throw malformed(`tokenRequests of the CSIDriver object must have one audience; ${tokens.length} tokens came`);
  }
  return only.token;
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 64));
}

function malformed(reason: string): SignetError {
  return new SignetError("malformed-request", reason);
}
