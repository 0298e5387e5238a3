import { X509Certificate } from "node:crypto";
import { problem, problemTypePrefix, trustBundle } from "@signet/shared/ca-api";
import { asSignetError } from "@signet/shared/errors";
import { decodeSinglePem } from "@signet/shared/pem";
import { fromNow } from "@signet/shared/terminal/duration";
import * as v from "valibot";
import type { HttpAnswer } from "../ca/exchange.ts";
import { endOf, nameText, startOf } from "../terminal/certificate-text.ts";
import { type Finding, fail, ok, warn } from "../terminal/finding.ts";
import { examineNaming } from "./naming.ts";
import type { Patient } from "./section.ts";

/** What a CA answered, or why it did not. */
export interface CaAnswers {
  readonly health: HttpAnswer | string;
  readonly ready: HttpAnswer | string;
  /** When `ready` was asked for and had come, in seconds since the epoch on our clock. */
  readonly askedAt: { readonly before: number; readonly after: number };
  readonly bundle: HttpAnswer | string;
  readonly issuers: HttpAnswer | string;
  /** To a batch of nothing; undefined where there is no token to send with it. */
  readonly withToken: HttpAnswer | string | undefined;
  readonly withoutToken: HttpAnswer | string;
}

// A CA's `date` counts whole seconds, and clocks that are kept by NTP agree to less than one.
const skewWarningSeconds = 5;
// Leaves are back-dated by as much: on a clock that is further behind they are from the future.
const skewFaultSeconds = 60;
const rootWarningSeconds = 7 * 86_400;
const isItTheCa =
  "is this the CA's URL, with its path if it has one? a proxy or load balancer in between may answer for it";

export function examineAnswers(answers: CaAnswers, { config, now }: Pick<Patient, "config" | "now">): Finding[] {
  const health = examineHealth(answers);
  if (health.level === "fail") return [health];
  return [
    health,
    examineReady(answers, config.trustDomain.name),
    ...examineSkew(answers),
    ...examineBundle(answers, config.trustDomain.name, now()),
    ...examineNaming(jsonOf(answers.issuers), config),
    examineAcceptance(answers),
  ];
}

function examineHealth({ health }: CaAnswers): Finding {
  if (typeof health === "string") return fail(health, "see the CA's log; is it a CA at all?");
  if (health.status === 200) return ok("/healthz answers 200");
  return fail(`/healthz answers ${health.status}`, isItTheCa);
}

const unready = v.object({ reason: v.string() });
// Of a CA of several trust domains, which is ready while it can sign for one of them.
const readiness = v.object({
  trustDomains: v.array(v.object({ trustDomain: v.string(), reason: v.optional(v.string()) })),
});

function examineReady({ askedAt, ready }: CaAnswers, trustDomain: string): Finding {
  if (typeof ready === "string") return fail(ready, "see the CA's log");
  const milliseconds = Math.max(0, Math.ceil((askedAt.after - askedAt.before) * 1_000));
  const told = jsonOf(ready);
  const mend = "it cannot sign now: signet-ca authority status --config FILE on the CA's side, and its log";
  if (ready.status === 200) {
    const each = v.safeParse(readiness, told);
    const own = each.success ? each.output.trustDomains.find((one) => one.trustDomain === trustDomain) : undefined;
    if (own?.reason === undefined) return ok(`/readyz answers 200, in ${milliseconds} ms`);
    return fail(`/readyz answers 200, but not for ${trustDomain}: ${own.reason}`, mend);
  }
  const reason = v.safeParse(unready, told);
  return fail(`/readyz answers ${ready.status}${reason.success ? `: ${reason.output.reason}` : ""}`, mend);
}

function examineSkew({ askedAt, ready }: CaAnswers): Finding[] {
  const text = typeof ready === "string" ? undefined : ready.header("date");
  const theirs = text === undefined ? Number.NaN : Date.parse(text) / 1_000;
  if (Number.isNaN(theirs)) return [];
  // Somewhere in the second that the header names, somewhere between question and answer: only what both leave no room
  // for is skew.
  const ahead = Math.max(0, askedAt.before - (theirs + 1));
  const behind = Math.max(0, theirs - askedAt.after);
  const skew = Math.max(ahead, behind);
  const seen = `this machine's clock is ${skew.toFixed(1)} s ${ahead > 0 ? "ahead of" : "behind"} the CA's`;
  const mend = "find out which of the two is wrong (date -u on both), and keep both by NTP: timedatectl set-ntp true";
  if (skew > skewFaultSeconds) return [fail(`${seen}: tokens and certificates look expired, or from the future`, mend)];
  if (skew > skewWarningSeconds) return [warn(seen, mend)];
  return [ok(skew === 0 ? "this machine's clock agrees with the CA's" : seen)];
}

function examineBundle({ bundle }: CaAnswers, trustDomain: string, now: number): Finding[] {
  if (typeof bundle === "string") return [fail(`/v1/trust-bundle: ${bundle}`, "see the CA's log")];
  if (bundle.status === 404 && codeOf(bundle) === "not-found") {
    return [
      fail(
        `the CA does not serve the trust domain ${trustDomain}`,
        "hold --trust-domain against trustDomain and trustDomains[].name of the CA's configuration; is this the right CA?",
      ),
    ];
  }
  if (bundle.status !== 200) return [fail(`/v1/trust-bundle answers ${bundle.status}`, isItTheCa)];
  const read = v.safeParse(trustBundle, jsonOf(bundle));
  if (!read.success) {
    return [
      fail(`/v1/trust-bundle is no trust bundle: ${v.getDotPath(read.issues[0]) ?? "it is not JSON"}`, isItTheCa),
    ];
  }
  const { roots, sequence, trustDomain: theirs } = read.output;
  const domain =
    theirs === trustDomain
      ? ok(`trust domain ${theirs}, bundle sequence ${sequence}`)
      : fail(
          `the CA's trust domain is ${theirs}, the agent's ${trustDomain}: the agent refuses whatever it sends`,
          `give --trust-domain ${theirs}, or ask another CA with --ca-url`,
        );
  if (roots.length === 0) return [domain, fail("the bundle is empty", "signet-ca authority status on the CA's side")];
  return [domain, ...roots.map((pem, at) => examineRoot(pem, at, now))];
}

function examineRoot(pem: string, at: number, now: number): Finding {
  let root: X509Certificate;
  try {
    root = new X509Certificate(decodeSinglePem(pem, ["CERTIFICATE"]));
  } catch (error) {
    return fail(
      `root ${at + 1} cannot be read: ${asSignetError(error, "malformed-certificate").message}`,
      "see the CA's authorities",
    );
  }
  const [start, end, name] = [startOf(root), endOf(root), nameText(root.subject)];
  const next = "publish its successor now: signet-ca authority status tells what is next";
  if (!root.ca) return fail(`root ${name} is no CA's certificate`, next);
  if (end <= now) return fail(`root ${name} ended ${fromNow(end, now)}`, next);
  if (start > now) return fail(`root ${name} is valid only ${fromNow(start, now)}`, "is this machine's clock right?");
  if (end - now < rootWarningSeconds) return warn(`root ${name} ends ${fromNow(end, now)}`, next);
  return ok(`root ${name} ends ${fromNow(end, now)}`);
}

function examineAcceptance({ withoutToken, withToken }: CaAnswers): Finding {
  const answer = withToken ?? withoutToken;
  if (typeof answer === "string") return fail(answer, "see the CA's log");
  const { status } = answer;
  const code = codeOf(answer);
  const agents = '"nodeBinding": { "agents": [...] }';
  if (status === 400 && code === "malformed-request") {
    if (withToken !== undefined && codeOf(withoutToken) === "token-missing") return ok("it accepts the node token");
    return warn(
      "it takes requests without a node token: node binding is off there, for an issuer at least, and a token that leaks from a pod signs from anywhere",
      `${agents} in the CA's configuration binds pods' tokens to their nodes; it needs Kubernetes 1.30`,
    );
  }
  if (code === "token-missing" && withToken === undefined) {
    return fail("it wants a node token, and there is none", "give --node-token FILE, the agent's own projected token");
  }
  if (status === 401) {
    return fail(
      "it does not accept the node token",
      "hold issuer and audience of the token, above, against issuers[].issuer and issuers[].audiences of the CA's configuration",
      "is the clock right on both sides, and do the issuer's keys still match? the CA's log names the reason",
    );
  }
  if (status === 403) {
    return fail(
      "it knows the node token, and its service account is none of the agents'",
      `put NAMESPACE/SERVICEACCOUNT of the token, above, into ${agents} of the CA's configuration`,
    );
  }
  if (status === 404 || status === 405) {
    return warn(
      "it has no route for batches, so that nothing is known of the node token",
      "upgrade the CA to the agent's version",
    );
  }
  if (status === 429 || status >= 500) {
    const hint = "ask again in a moment; the CA's log names the reason, such as an issuer whose keys cannot be had";
    return fail(`it cannot say now whether it accepts the node token: it answers ${status} ${code}`.trimEnd(), hint);
  }
  return fail(`an empty batch is answered with ${status} ${code}`.trimEnd(), isItTheCa);
}

/** The code of a problem that a CA tells of, "" where it tells of none. */
function codeOf(answer: HttpAnswer | string): string {
  const read = v.safeParse(problem, jsonOf(answer));
  const isOurs = read.success && read.output.type.startsWith(problemTypePrefix);
  return isOurs ? read.output.type.slice(problemTypePrefix.length) : "";
}

function jsonOf(answer: HttpAnswer | string): unknown {
  try {
    return typeof answer === "string" ? undefined : JSON.parse(answer.body);
  } catch {
    return undefined;
  }
}
