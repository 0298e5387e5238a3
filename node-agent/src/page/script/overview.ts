import type { CaEndpointStatus, DurationsView, RootView, StatusView } from "../../status-view.ts";
import { byId, fillList, say, sayIn, setMood, within } from "./dom.ts";
import type { Mood } from "./judgement.ts";
import { ago, inWords, milliseconds, number, roughly, several, span } from "./words.ts";

const soonSeconds = 30 * 24 * 3_600;

/**
 * Shows everything but the workloads.
 * @param now milliseconds since the epoch, by the agent's clock
 */
export function showOverview(status: StatusView, now: number): void {
  showAgent(status, now);
  showCa(status, now);
  showBundle(status, now);
  showSds(status);
  showHints(status);
}

function showAgent({ nodeName, notReady, startedAt, trustDomain, version }: StatusView, now: number): void {
  sayIn("trust-domain", `Trust domain ${trustDomain}`);
  sayIn("node", nodeName === null ? "" : ` · node ${nodeName}`);
  sayIn("version", version);
  sayIn("uptime", span(since(startedAt, now)));
  const health = byId("health", HTMLElement);
  say(health, notReady === null ? "Ready" : "Not ready");
  setMood(health, notReady === null ? "good" : "warn");
}

function showCa({ ca, took }: StatusView, now: number): void {
  fillList("endpoints", "endpoint", ca, (child, endpoint) => {
    const put = (selector: string, text: string) => say(within(child, selector, HTMLElement), text);
    const failing = endpoint.state === "failing";
    put(".url", endpoint.url.replace(/\/$/, ""));
    put(".said", describeEndpoint(endpoint, now));
    put(".error", failing && endpoint.lastError !== null ? inWords(endpoint.lastError.code) : "");
    put(".detail:last-child", failing && endpoint.lastError !== null ? endpoint.lastError.message : "");
    const moods: Record<CaEndpointStatus["state"], Mood> = { healthy: "good", failing: "bad", untried: "quiet" };
    setMood(within(child, ".dot", HTMLElement), moods[endpoint.state]);
  });
  const [state, detail] = describeCa(ca);
  sayIn("ca-state", state);
  sayIn("ca-detail", detail);
  byId("ca-state", HTMLElement).classList.toggle("bad", state === "Failing");
  sayIn("ca-latency", describeDurations("Answers", took.ca));
}

/** All URLs of the CA as one: in what state it is, and how it is reached. */
function describeCa(ca: StatusView["ca"]): [state: string, detail: string] {
  const healthy = ca.filter(({ state }) => state === "healthy").length;
  const failing = ca.filter(({ state }) => state === "failing").length;
  if (failing === ca.length) return ["Failing", ca.length === 1 ? "" : `at all ${ca.length} URLs`];
  if (healthy === 0) return ["Unknown", "not asked yet"];
  return ["Healthy", failing === 0 ? "" : `at ${healthy} of ${ca.length} URLs`];
}

function describeEndpoint({ lastSuccessAt, retryAt, state }: CaEndpointStatus, now: number): string {
  const answered = lastSuccessAt === null ? "never answered" : `answered ${ago(since(lastSuccessAt, now))}`;
  if (state === "untried") return "Not tried yet";
  if (state === "healthy") return `Healthy, ${answered}`;
  const wait = retryAt === null ? 0 : -since(retryAt, now);
  return `Failing, ${answered}; ${wait > 1 ? `next try in ${roughly(wait)}` : "trying again"}`;
}

function showBundle({ bundle, counters }: StatusView, now: number): void {
  if (bundle === null) {
    sayIn("bundle-count", "None");
    sayIn("bundle-lead", "learned from the CA yet");
    sayIn("bundle-foot", failures(counters.bundleFailures));
  } else {
    sayIn("bundle-count", number.format(bundle.roots.length));
    sayIn("bundle-lead", `${bundle.roots.length === 1 ? "root" : "roots"} · sequence ${bundle.sequence}`);
    const parts = [
      `Learned ${ago(since(bundle.learnedAt, now))}`,
      `asked for every ${span(bundle.refreshHintSeconds)}`,
    ];
    if (counters.bundleFailures > 0) parts.push(failures(counters.bundleFailures));
    sayIn("bundle-foot", parts.join(" · "));
  }
  fillList("roots", "root", bundle?.roots ?? [], (child, { notAfter, sha256, subject }: RootView) => {
    const left = -since(notAfter, now);
    say(within(child, ".subject", HTMLElement), subject);
    const until = within(child, ".until", HTMLElement);
    say(
      until,
      left > 0 ? `Expires in ${span(left)}, on ${notAfter.slice(0, 10)}` : `Expired on ${notAfter.slice(0, 10)}`,
    );
    until.classList.toggle("soon", left < soonSeconds);
    const fingerprint = within(child, ".sha256", HTMLElement);
    say(fingerprint, `SHA-256 ${sha256.slice(0, 16)}…`);
    fingerprint.title = sha256;
  });
}

function failures(count: number): string {
  return count === 0 ? "" : `${several(count, "failure")} so far`;
}

function showSds({ counters, csi, streams, streamsByMethod, took }: StatusView): void {
  sayIn("streams", number.format(streams));
  const methods = Object.entries(streamsByMethod).filter(([, count]) => count > 0);
  const detail = methods.map(([method, count]) => `${number.format(count)} ${method}`).join(", ");
  sayIn("streams-label", `open ${streams === 1 ? "stream" : "streams"}${methods.length > 1 ? `: ${detail}` : ""}`);
  const { acks, nacks, pushes, refusedConnections, refusedStreams } = counters;
  sayIn("pushes", number.format(pushes));
  sayIn("acks", number.format(acks));
  sayIn("nacks", number.format(nacks));
  byId("nacks", HTMLElement).classList.toggle("bad", nacks > 0);
  const refused = [...Object.entries(refusedStreams), ...Object.entries(refusedConnections)];
  sayIn("refused", number.format(refused.reduce((sum, [, count]) => sum + count, 0)));
  byId("refused", HTMLElement).title = refused.map(([code, count]) => `${count} ${code}`).join("\n");
  const sockets = csi === null ? "" : describeSockets(csi.volumes, csi.withoutToken);
  sayIn("sds-foot", [describeDurations("Pushes", took.push), sockets].filter((text) => text !== "").join(" · "));
}

function describeSockets(volumes: number, withoutToken: number): string {
  const waiting = withoutToken === 0 ? "" : `, ${number.format(withoutToken)} without a token yet`;
  return `${several(volumes, "pod")} with a socket of its own${waiting}`;
}

function describeDurations(what: string, { mean, p99 }: DurationsView): string {
  if (mean === null) return "";
  const most = p99 === null ? "" : `, 99 % within ${milliseconds(p99)}`;
  return `${what} take ${milliseconds(mean)} on average${most}`;
}

function showHints({ csi, socket }: StatusView): void {
  sayIn("hint-path", socket ?? "");
  byId("hint-socket", HTMLElement).hidden = socket === null;
  byId("hint-csi", HTMLElement).hidden = csi === null;
}

function since(moment: string, now: number): number {
  return (now - Date.parse(moment)) / 1_000;
}
