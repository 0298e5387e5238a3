import { Status } from "../grpc/status.ts";

/** What was asked with, as far as it helps to explain a refusal. */
export interface AskedWith {
  readonly token: boolean;
  readonly method: string;
}

/** What to do about a call that the agent ended, by its gRPC status. */
export function mendCall(code: number, { token, method }: AskedWith): string[] {
  switch (code) {
    case Status.UNAUTHENTICATED:
      return token
        ? [
            "give the token that the pod's Envoy sends, fresh (tokens end, the file does not): a projected token with the CA's audience",
            "kubectl create token SERVICEACCOUNT -n NAMESPACE --bound-object-kind Pod --bound-object-name POD --audience signet-ca",
          ]
        : [
            "this socket is shared by pods and wants to know which one asks: give its token with --token FILE",
            "or ask on the pod's own socket (CSI), which needs none: --socket .../volumes/kubernetes.io~csi/NAME/mount/socket",
          ];
    case Status.PERMISSION_DENIED:
      return [
        "the token is of a pod of another node, or the CA does not grant this identity: signet-agent doctor --token FILE tells which",
      ];
    case Status.UNAVAILABLE:
      return ["the agent is stopping, or the CA cannot be reached: see signet-agent status, then signet-agent doctor"];
    case Status.RESOURCE_EXHAUSTED:
      return ["the agent or the CA has too much to do; ask again in a moment, and see signet-agent status"];
    case Status.UNIMPLEMENTED:
      return [
        method === "DeltaSecrets"
          ? "this agent does not serve DeltaSecrets; leave --delta out"
          : "what serves this socket is no SDS server; is it the right --socket?",
      ];
    case Status.INVALID_ARGUMENT:
      return ["the agent cannot read the request: are this program and the agent of the same version?"];
    case Status.NOT_FOUND:
      return ["no such name here; see the agent's --svid-name and --bundle-name"];
    default:
      return ["see the agent's log"];
  }
}
