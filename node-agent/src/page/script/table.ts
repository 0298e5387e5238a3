import type { WorkloadView } from "../../workload-view.ts";
import { byId, sayIn } from "./dom.ts";
import { type Filter, type Judged, judge, matches, type Order, orders } from "./judgement.ts";
import { Row } from "./row.ts";
import { number, several } from "./words.ts";

interface Entry extends Judged {
  readonly row: Row;
}

/**
 * The table of workloads. Rows are kept by pod and identity; of a thousand of them only those that changed are written
 * to, and only those in sight go with the time.
 */
export class Table {
  readonly #entries = new Map<string, Entry>();
  readonly #body = byId("rows", HTMLElement);
  readonly #search = byId("search", HTMLInputElement);
  readonly #filter = byId("filter", HTMLSelectElement);
  readonly #order = byId("order", HTMLSelectElement);
  readonly #inSight = new Set<Element>();
  readonly #sight = new IntersectionObserver((changes) => this.#see(changes), { rootMargin: "200px" });
  readonly #now: () => number;
  #window = { from: 0, to: 0 };
  #known = false;

  /** @param now milliseconds since the epoch, by the agent's clock */
  constructor(now: () => number) {
    this.#now = now;
    this.#search.addEventListener("input", () => this.#arrange());
    this.#filter.addEventListener("change", () => this.#arrange());
    this.#order.addEventListener("change", () => this.#arrange());
    byId("clear", HTMLButtonElement).addEventListener("click", () => {
      this.#search.value = "";
      this.#filter.value = "all";
      this.#arrange();
      this.#search.focus();
    });
    document.addEventListener("keydown", (event) => this.#shortcut(event));
  }

  set window(window: { from: number; to: number }) {
    this.#window = window;
  }

  update(workloads: readonly WorkloadView[]): void {
    const now = this.#now();
    const gone = new Set(this.#entries.keys());
    for (const workload of workloads) {
      const key = `${workload.podUid} ${workload.spiffeId}`;
      gone.delete(key);
      const before = this.#entries.get(key);
      const row = before?.row ?? new Row(workload);
      const judgement = judge(workload, now);
      this.#entries.set(key, { workload, judgement, row });
      if (before === undefined) this.#sight.observe(row.element);
      if (before !== undefined && JSON.stringify(before.workload) === JSON.stringify(workload)) continue;
      row.show(workload);
      row.tick(workload, judgement, now, this.#window);
    }
    for (const key of gone) this.#remove(key);
    this.#known = true;
    this.#arrange();
  }

  /** Judges all anew, and lets those in sight show it. */
  tick(): void {
    const now = this.#now();
    let rearrange = false;
    for (const [key, { judgement: before, row, workload }] of this.#entries) {
      const judgement = judge(workload, now);
      rearrange ||= before.state !== judgement.state;
      this.#entries.set(key, { workload, judgement, row });
      if (this.#inSight.has(row.element)) row.tick(workload, judgement, now, this.#window);
    }
    if (rearrange) this.#arrange();
  }

  #arrange(): void {
    const filter = this.#filter.value as Filter;
    const words = this.#search.value.trim();
    const all = [...this.#entries.values()];
    const shown = all
      .filter(({ judgement, workload }) => matches(workload, judgement, filter, words))
      .sort(orders[this.#order.value as Order]);
    const wanted = new Set(shown.map(({ row }) => row.element));
    for (const child of [...this.#body.children]) {
      if (!wanted.has(child as HTMLTableRowElement)) child.remove();
    }
    // Rows that stand where they should are not touched.
    let at = this.#body.firstElementChild;
    for (const { row } of shown) {
      if (row.element === at) at = at.nextElementSibling;
      else this.#body.insertBefore(row.element, at);
    }
    this.#tell(all, shown.length);
  }

  #tell(all: readonly Entry[], shown: number): void {
    const attention = all.filter(({ judgement }) => judgement.needsAttention).length;
    const parts = [
      shown === all.length ? number.format(shown) : `${number.format(shown)} of ${number.format(all.length)}`,
    ];
    if (attention > 0) parts.push(`${several(attention, "needs", "need")} attention`);
    sayIn("count", parts.join(" · "));
    const empty = this.#known && all.length === 0;
    byId("none", HTMLElement).hidden = !empty;
    byId("no-match", HTMLElement).hidden = empty || shown > 0 || !this.#known;
    byId("table", HTMLElement).hidden = shown === 0;
    byId("legend", HTMLElement).hidden = shown === 0;
  }

  #remove(key: string): void {
    const element = this.#entries.get(key)?.row.element;
    this.#entries.delete(key);
    if (element === undefined) return;
    this.#sight.unobserve(element);
    this.#inSight.delete(element);
    element.remove();
  }

  #see(changes: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of changes) {
      if (isIntersecting) this.#inSight.add(target);
      else this.#inSight.delete(target);
    }
    this.tick();
  }

  #shortcut(event: KeyboardEvent): void {
    if (event.key === "/" && !(event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement)) {
      event.preventDefault();
      this.#search.focus();
    } else if (event.key === "Escape" && event.target === this.#search) {
      this.#search.value = "";
      this.#arrange();
    }
  }
}
