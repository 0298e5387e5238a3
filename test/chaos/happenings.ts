import { X509Certificate } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/poll.ts";
import type { CaDoor, Mood } from "./ca-door.ts";
import { leadsTo } from "./invariants.ts";
import { type Event, partOf, type Where, type WrongAnswer } from "./plan.ts";
import type { Stage } from "./stage.ts";
import type { Traffic } from "./traffic.ts";
import { refuseSecrets } from "./watcher.ts";

const patienceMs = 3_000;
// That come whenever the CA is not well.
const newPods = 5;
// Of an Envoy from its start to its identity when nobody has to be asked for it; mostly its own time.
const fromMemoryMs = 5_000;

const seconds = (count: number) => sleep(count * 1_000);

/** Makes planned events happen on a stage. Each takes back what it has done before it is over. */
export class Happenings {
  readonly #stage: Stage;
  readonly #traffic: Traffic;
  /** Longest time from an Envoy's start to its identity, in milliseconds. */
  longestEnvoyStart = 0;
  /** Longest time that pods had to wait which were created while the CA was not well, from when it was, in milliseconds. */
  longestNewPod = 0;
  /** Whether the agent is to be running right now. */
  agentExpected = true;
  /** New streams that had to be served from the agent's memory, because it had their identity already. */
  servedFromMemory = 0;
  #agentTouched = Date.now();
  #agentEvents = 0;
  #tokensTouched = Date.now();
  readonly #ready = new Map<string, number>();

  constructor(stage: Stage, traffic: Traffic) {
    this.#stage = stage;
    this.#traffic = traffic;
  }

  /** @returns what is worth telling of it */
  async make(event: Event): Promise<string> {
    if (partOf(event.kind) !== "agent") return await this.#make(event);
    this.#agentTouched = Number.POSITIVE_INFINITY;
    this.#agentEvents++;
    try {
      return await this.#make(event);
    } finally {
      this.#agentTouched = Date.now();
    }
  }

  async #make(event: Event): Promise<string> {
    const { agent } = this.#stage;
    switch (event.kind) {
      case "CA refuses connections":
        return await this.#doors(event.where, "refuses", event.lasts);
      case "CA hangs":
        return await this.#doors(event.where, "hangs", event.lasts);
      case "CA is slow":
        return await this.#doors(event.where, { delaySeconds: event.delay }, event.lasts);
      case "CA is busy":
        return await this.#doors(event.where, { status: event.status, retryAfter: event.retryAfter }, event.lasts);
      case "CA answers wrong":
        return await this.#tellLies(event.where, event.answers, event.lasts);
      case "authorities change":
        return await this.#changeAuthorities();
      case "agent is killed":
        return await this.#restartAgent("SIGKILL", event.lasts);
      case "agent is restarted":
        return await this.#restartAgent("SIGTERM", 0);
      case "agent is suspended":
        agent.suspend();
        await seconds(event.lasts);
        agent.resume();
        return "";
      case "agent's clock jumps":
      case "agent's clock is off":
        agent.clock.set(event.by);
        await seconds(event.lasts);
        agent.clock.set(0);
        return "";
      case "socket file is removed":
        rmSync(agent.socket, { force: true });
        await until("the agent to put its socket back", () => existsSync(agent.socket), { within: 20_000 });
        return "it is back";
      case "Envoy is restarted":
        return await this.#restartEnvoy(event.workload, event.signal, event.lasts);
      case "tokens are rotated":
        await this.#stage.rotateTokens();
        this.#tokensTouched = Date.now();
        return "";
      case "a secret is refused":
        return `${await refuseSecrets(this.#stage.asWorkload(event.workload), 2_000)} refused`;
    }
  }

  async #doors(where: Where, mood: Mood, lasts: number): Promise<string> {
    const count = () => this.#stage.doors.reduce((sum, { requests }) => sum + requests, 0);
    const before = count();
    return await this.#withMood(where, mood, async () => {
      await seconds(lasts);
      return `${count() - before} requests meanwhile`;
    });
  }

  async #tellLies(where: Where, answers: readonly WrongAnswer[], lasts: number): Promise<string> {
    const { lies } = this.#stage;
    const told = () => [...lies.values()].reduce((sum, count) => sum + count, 0);
    const before = told();
    // What was told least comes first, so that all of them are told in a run.
    const wrong = () => answers.toSorted((a, b) => (lies.get(a) ?? 0) - (lies.get(b) ?? 0))[0];
    return await this.#withMood(where, { wrong }, async () => {
      await seconds(lasts);
      // A few workloads renew in any few seconds; an address that is not asked has nobody to tell.
      const heard = until("somebody to hear it", () => told() > before, { within: patienceMs });
      await heard.catch(() => undefined);
      return `${told() - before} told`;
    });
  }

  /** The CA as it should not be while `during` runs; before it is well again, the agent must serve from its memory. */
  async #withMood(where: Where, mood: Mood, during: () => Promise<string>): Promise<string> {
    const chosen = this.#chosen(where);
    await Promise.all(chosen.map((door) => door.setMood(mood)));
    const pods = await this.#stage.addPods(newPods);
    try {
      const told = `${await during()}${await this.#demandMemory()}`;
      await Promise.all(chosen.map((door) => door.setMood("open")));
      const began = Date.now();
      await until("new pods to have their identity", () => pods.every(({ isServed }) => isServed), { within: 20_000 });
      this.longestNewPod = Math.max(this.longestNewPod, Date.now() - began);
      return told;
    } finally {
      await Promise.all(chosen.map((door) => door.setMood("open")));
      await Promise.all(pods.map((pod) => pod.stop()));
    }
  }

  /** Whoever has had an identity from this very agent gets it again on a new stream, whatever the CA does. */
  async #demandMemory(): Promise<string> {
    const { agent, watchers } = this.#stage;
    const before = this.#agentEvents;
    const known = watchers.filter(({ isServed }) => isServed);
    const asked = await Promise.all(known.map((watcher) => watcher.askAgain(fromMemoryMs)));
    if (this.#agentEvents !== before || this.#agentTouched === Number.POSITIVE_INFINITY || agent.clock.offset !== 0) {
      return "";
    }
    this.servedFromMemory += asked.length;
    const without = known.filter((_, at) => asked[at] === false).map(({ pod }) => pod.name);
    if (without.length > 0) throw new Error(`the agent has forgotten what it served to ${without.join(", ")}`);
    return `, ${asked.length} served from memory`;
  }

  #chosen(where: Where): readonly CaDoor[] {
    const { doors } = this.#stage;
    return where === "all" ? doors : [doors[where]];
  }

  async #changeAuthorities(): Promise<string> {
    const { authorities, invariants, mesh, pods } = this.#stage;
    const says = await authorities.step({
      trusted: async (root) => {
        const serial = plain(root.serialNumber);
        const known = await Promise.all(mesh.workloads.map(({ envoy }) => envoy.admin.rootSerials().catch(() => [])));
        return (
          pods.every((pod) => invariants.hasRoot(pod, root)) &&
          known.every((serials) => serials.some((one) => plain(one) === serial))
        );
      },
      inUse: async (root) => {
        const chains = await Promise.all(mesh.workloads.map(({ envoy }) => chainShownBy(envoy)));
        return [...pods.map((pod) => invariants.chainOf(pod)), ...chains].some(
          (chain) => chain.length === 0 || leadsTo(chain, [root]),
        );
      },
    });
    await this.#stage.restartCa();
    return says;
  }

  async #restartAgent(signal: "SIGTERM" | "SIGKILL", lasts: number): Promise<string> {
    const { agent } = this.#stage;
    this.agentExpected = false;
    await agent.stop(signal);
    await seconds(lasts);
    const began = Date.now();
    await agent.start();
    this.agentExpected = true;
    return `up again ${Date.now() - began} ms after its start`;
  }

  async #restartEnvoy(index: number, signal: "SIGTERM" | "SIGKILL", lasts: number): Promise<string> {
    const workload = this.#stage.mesh.workloads[index];
    if (workload === undefined) throw new RangeError(`there is no workload ${index}`);
    const { envoy, name } = workload;
    const lastReady = this.#ready.get(name) ?? 0;
    const isBack = this.#traffic.leave(name);
    await envoy.stop(signal);
    await seconds(lasts);
    const began = Date.now();
    await envoy.start();
    await envoy.untilReady();
    isBack();
    const took = Date.now() - began;
    this.longestEnvoyStart = Math.max(this.longestEnvoyStart, took);
    this.#ready.set(name, Date.now());
    const told = `${name}, ready ${took} ms after its start`;
    // The same agent has served it before, with this token, and nothing has happened to either since.
    if (Math.max(this.#agentTouched, this.#tokensTouched) >= lastReady) return told;
    this.servedFromMemory++;
    if (took > fromMemoryMs) throw new Error(`${told}, although the agent had its identity`);
    return `${told}, from memory`;
  }
}

async function chainShownBy(envoy: { readonly admin: { chain(): Promise<Uint8Array[]> } }): Promise<X509Certificate[]> {
  const chain = await envoy.admin.chain().catch(() => []);
  return chain.map((der) => new X509Certificate(der));
}

function plain(serialNumber: string): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, "");
}
