import type { StatusView } from "../../status-view.ts";
import { byId, say, setMood } from "./dom.ts";
import { Feed } from "./feed.ts";
import { showOverview } from "./overview.ts";
import { Table } from "./table.ts";

let status: StatusView | undefined;
// The machine that shows the page may have another time than the agent's.
let clockDifference = 0;
const now = () => Date.now() + clockDifference;

const table = new Table(now);
const banner = byId("banner", HTMLElement);

/** @param text empty for nothing to tell */
function warn(text: string, mood: "warn" | "bad"): void {
  say(banner, text);
  setMood(banner, mood);
  banner.hidden = text === "";
}

new Feed({
  onStatus: (latest) => {
    status = latest;
    clockDifference = Date.parse(latest.now) - Date.now();
    document.body.classList.remove("stale");
    table.window = latest.renewalWindow;
    showOverview(latest, now());
    warn(latest.notReady === null ? "" : `Pods cannot get everything yet: ${latest.notReady}.`, "warn");
    document.title = latest.nodeName === null ? "Signet node agent" : `${latest.nodeName} · Signet node agent`;
  },
  onWorkloads: (workloads) => table.update(workloads),
  onGone: (since) => {
    document.body.classList.add("stale");
    const health = byId("health", HTMLElement);
    say(health, "Gone");
    setMood(health, "bad");
    const old = status === undefined ? "" : " What you see is from then.";
    warn(`The agent does not answer since ${new Date(since).toLocaleTimeString()}.${old} Trying again.`, "bad");
  },
}).start();

setInterval(() => {
  if (document.hidden) return;
  table.tick();
  if (status !== undefined && !document.body.classList.contains("stale")) showOverview(status, now());
}, 1_000);
