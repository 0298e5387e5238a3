import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { asSignetError } from "@signet/shared/errors";
import {
  decodeTokenUnverified,
  readServiceAccountClaims,
  type ServiceAccountClaims,
} from "@signet/shared/service-account";
import { fromNow, span } from "@signet/shared/terminal/duration";
import { readTokenFile } from "../identity/token-file.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { reasonOf } from "./section.ts";

// The kubelet asks for a new one when a fifth of its life is left (kubernetes: `pkg/kubelet/token`).
const renewedAtShareLeft = 0.2;
const projected =
  "have the kubelet project it into the pod: volumes[].projected.sources[].serviceAccountToken with audience, expirationSeconds and path";
const byHand =
  "kubectl create token SERVICEACCOUNT -n NAMESPACE --bound-object-kind Pod --bound-object-name POD --audience signet-ca > FILE";

/** A token that was looked at; nothing of it is verified. */
export interface ExaminedToken {
  readonly findings: readonly Finding[];
  /** Undefined where the file holds none. */
  readonly token: string | undefined;
  /** Undefined where it cannot be read. */
  readonly claims: ServiceAccountClaims | undefined;
}

const mendFile = (setting: string) => (setting === "--token" ? byHand : projected);

/**
 * Looks at a file with a service-account token, and at what the token says; never shows any of its bytes.
 * @param setting what names the file, such as `--node-token`
 */
export function examineToken(file: string, setting: string, now: number): ExaminedToken {
  let token: string;
  try {
    token = readTokenFile(file, setting);
  } catch (error) {
    return {
      findings: [fail(asSignetError(error, "config-invalid").message, mendFile(setting))],
      token: undefined,
      claims: undefined,
    };
  }
  const findings: Finding[] = [examinePermissions(file, setting)];
  let claims: ServiceAccountClaims;
  try {
    claims = readServiceAccountClaims(decodeTokenUnverified(token));
  } catch (error) {
    findings.push(
      fail(
        `it is no token of a pod's service account: ${asSignetError(error, "malformed-token").message}`,
        mendFile(setting),
      ),
    );
    return { findings, token, claims: undefined };
  }
  findings.push(
    ok(`it is of ${claims.namespace}/${claims.serviceAccount}, pod ${claims.podName}, issuer ${claims.issuer}`),
    examineAudience(claims),
    examineNode(claims),
    examineTimes(claims, now),
  );
  return { findings, token, claims };
}

function examinePermissions(file: string, setting: string): Finding {
  let mode: number;
  try {
    mode = statSync(file).mode;
  } catch (error) {
    return fail(`${file} went away (${reasonOf(error)})`, mendFile(setting));
  }
  const seen = `${file} is readable, mode 0${(mode & 0o777).toString(8).padStart(3, "0")}`;
  if ((mode & 0o022) !== 0) return fail(`${seen}: others may replace it`, `chmod go-w ${file}`);
  // The kubelet's own projections are mode 0644, in a memory that only this pod sees.
  const fromKubelet = existsSync(join(dirname(file), "..data"));
  if ((mode & 0o004) !== 0 && !fromKubelet)
    return warn(`${seen}: everybody on this machine may read it`, `chmod 600 ${file}`);
  return ok(fromKubelet ? `${seen}, projected by the kubelet` : seen);
}

function examineAudience({ audiences, issuer }: ServiceAccountClaims): Finding {
  const seen = `audience ${audiences.join(", ")}`;
  const isApiServers = (one: string) => one === issuer || /^https:\/\/kubernetes\.default(?:\.svc|$)/.test(one);
  if (audiences.some(isApiServers)) {
    return warn(
      `${seen}: it is good for the API server too, and a CA should not take it`,
      "project a token for the CA alone, audience signet-ca; the CA's configuration has the same in issuers[].audiences",
    );
  }
  return ok(`${seen}; one of the CA's issuers[].audiences must be the same`);
}

function examineNode({ nodeName, nodeUid }: ServiceAccountClaims): Finding {
  if (nodeUid === undefined) {
    return fail(
      "it names no node: a CA with node binding refuses it",
      'Kubernetes 1.30 or newer puts the node into tokens of pods that have one; before, the CA needs "nodeBinding": "off"',
    );
  }
  return ok(`node ${nodeName ?? "without a name"}, uid ${nodeUid}`);
}

function examineTimes({ expiresAt, issuedAt, notBefore }: ServiceAccountClaims, now: number): Finding {
  const life = `${span(expiresAt - issuedAt)} long`;
  if (expiresAt <= now) {
    return fail(
      `it expired ${fromNow(expiresAt, now)} (${life})`,
      "the kubelet renews projected tokens: is it running, does the file come from it, is this machine's clock right?",
    );
  }
  if (notBefore > now + 1) {
    return fail(
      `it is valid only ${fromNow(notBefore, now)}`,
      "this machine's clock is behind the API server's: see timedatectl, chronyc",
    );
  }
  if ((expiresAt - now) / (expiresAt - issuedAt) < renewedAtShareLeft) {
    return warn(
      `it ends ${fromNow(expiresAt, now)} (${life}) and should have been renewed by now`,
      "see the kubelet's log for failing token requests; a copy of a token is not renewed by anybody",
    );
  }
  return ok(`it ends ${fromNow(expiresAt, now)} (${life})`);
}

/** Whether a pod's token and the agent's are of one node, as the CA will demand. */
export function compareNodes(pod: ServiceAccountClaims, agent: ServiceAccountClaims | undefined): Finding[] {
  if (agent?.nodeUid === undefined || pod.nodeUid === undefined) return [];
  if (pod.nodeUid === agent.nodeUid) return [ok("it is of the same node as the agent's token")];
  return [
    fail(
      `it is of the node ${pod.nodeName ?? pod.nodeUid}, the agent's token of ${agent.nodeName ?? agent.nodeUid}`,
      "take the token of a pod on this node: a token is worth nothing elsewhere",
    ),
  ];
}
