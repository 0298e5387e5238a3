import type { WorkloadView } from "../../workload-view.ts";
import { fromTemplate, say, sayTime, setMood, within } from "./dom.ts";
import type { Judgement } from "./judgement.ts";
import { ago, inWords, several, span } from "./words.ts";

/** The row of one workload. It writes to the document only what is new. */
export class Row {
  readonly element = fromTemplate("row", HTMLTableRowElement);
  readonly #bar = within(this.element, ".bar", HTMLElement);
  readonly #left = within(this.element, ".left", HTMLTimeElement);
  readonly #next = within(this.element, ".next", HTMLTimeElement);
  readonly #last = within(this.element, ".last", HTMLTimeElement);
  readonly #pill = within(this.element, ".pill", HTMLElement);
  readonly #styles = new Map<string, string>();

  constructor({ namespace, podName, podUid, serviceAccount, spiffeId }: WorkloadView) {
    const put = (selector: string, text: string) => say(within(this.element, selector, HTMLElement), text);
    put(".pod", podName);
    put(".account", `${namespace} / ${serviceAccount}`);
    put(".spiffe", spiffeId);
    within(this.element, ".pod", HTMLElement).title = `uid ${podUid}`;
  }

  /** Writes what the agent says. */
  show({ issuedCount, lastError, serialNumber, streams, tokenExpiresAt }: WorkloadView): void {
    const put = (selector: string, text: string) => say(within(this.element, selector, HTMLElement), text);
    put(".issued", several(issuedCount, "certificate"));
    put(".streams", String(streams));
    put(".error", lastError === null ? "" : inWords(lastError.code));
    put(".state .detail", lastError === null ? "" : lastError.message);
    const token = tokenExpiresAt === null ? "no token" : `token until ${new Date(tokenExpiresAt).toLocaleString()}`;
    this.#bar.title = `serial number ${serialNumber}\n${token}`;
  }

  /** Writes what follows from the time; cheap, because it is called each second. */
  tick(workload: WorkloadView, judgement: Judgement, now: number, window: { from: number; to: number }): void {
    const { due, elapsed, mood, secondsLeft, secondsToRenewal, state } = judgement;
    const left = secondsLeft > 0 ? `${span(secondsLeft)} left` : `expired ${ago(-secondsLeft)}`;
    sayTime(this.#left, workload.notAfter, left);
    const tryAt = workload.nextTryAt;
    const secondsToTry = tryAt === null ? undefined : (Date.parse(tryAt) - now) / 1_000;
    const next = secondsToTry === undefined ? renewal(secondsToRenewal) : nextTry(secondsToTry);
    sayTime(this.#next, tryAt ?? workload.renewAt, next);
    sayTime(this.#last, workload.lastIssuedAt, ago((now - Date.parse(workload.lastIssuedAt)) / 1_000));
    say(this.#pill, state);
    setMood(this.#pill, mood);
    setMood(this.element, mood);
    // The name of an image is heard in whole each time it is reached, so it says it all.
    const label = `${left}; ${next}`;
    if (this.#bar.ariaLabel !== label) this.#bar.ariaLabel = label;
    this.#set("--elapsed", elapsed);
    this.#set("--due", due);
    this.#set("--window-from", window.from);
    this.#set("--window-to", window.to);
  }

  // A tenth of a percent is less than a pixel.
  #set(property: string, part: number): void {
    const value = part.toFixed(3);
    if (this.#styles.get(property) === value) return;
    this.#styles.set(property, value);
    this.#bar.style.setProperty(property, value);
  }
}

function renewal(secondsToRenewal: number): string {
  if (secondsToRenewal > 0) return `renews in ${span(secondsToRenewal)}`;
  return secondsToRenewal > -2 ? "renews now" : `was to renew ${ago(-secondsToRenewal)}`;
}

function nextTry(seconds: number): string {
  return seconds > 0 ? `next try in ${span(seconds)}` : "next try now";
}
