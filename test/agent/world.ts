import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Agent, startAgent } from "@signet/node-agent/agent";
import { parseConfig, type Settings } from "@signet/node-agent/config";
import { Metrics } from "@signet/node-agent/metrics";
import type { WorkloadLimits } from "@signet/node-agent/svid/workloads";
import type { LogFields, Logger } from "@signet/shared/deps";
import { expect } from "vitest";
import { until } from "../support/poll.ts";
import { type Pod, ScriptedCa } from "../support/scripted-ca.ts";
import { SdsClient, type SeenResponse } from "./sds-client.ts";

/** Time that can be moved on; whatever falls due by that happens at once. */
export class TestClock {
  #offset = 0;
  #passed = 0;
  readonly #pending = new Set<{ due: number; run: () => void; timer: NodeJS.Timeout }>();

  readonly now = (): number => Date.now() / 1_000 + this.#offset;

  readonly monotonic = (): number => performance.now() / 1_000 + this.#passed;

  readonly setTimer = (run: () => void, milliseconds: number): (() => void) => {
    const entry = {
      due: this.now() + milliseconds / 1_000,
      run,
      timer: setTimeout(() => {
        this.#pending.delete(entry);
        run();
      }, milliseconds),
    };
    this.#pending.add(entry);
    return () => {
      clearTimeout(entry.timer);
      this.#pending.delete(entry);
    };
  };

  get timers(): number {
    return this.#pending.size;
  }

  /** Sets the wall clock, or suspends the machine: no time passes for the process. */
  step(seconds: number): void {
    this.#offset += seconds;
  }

  advance(seconds: number): void {
    this.#offset += seconds;
    this.#passed += seconds;
    // The agent never sleeps longer than half a minute; a clock that jumps wakes it as that would.
    for (const entry of [...this.#pending]) {
      clearTimeout(entry.timer);
      this.#pending.delete(entry);
      entry.run();
    }
  }
}

export interface LogLine {
  readonly level: string;
  readonly fields: LogFields;
  readonly message: string;
}

export class World {
  readonly folder: string;
  readonly clock: TestClock;
  readonly ca: ScriptedCa;
  readonly metrics = new Metrics();
  readonly lines: LogLine[] = [];
  readonly #clients: SdsClient[] = [];
  agent!: Agent;

  private constructor(folder: string, clock: TestClock, ca: ScriptedCa) {
    this.folder = folder;
    this.clock = clock;
    this.ca = ca;
  }

  static async start(settings: Settings = {}, limits: Partial<WorkloadLimits> = {}): Promise<World> {
    const world = await World.withoutAgent();
    await world.startAgent(settings, limits);
    return world;
  }

  static async withoutAgent(): Promise<World> {
    const clock = new TestClock();
    const ca = await ScriptedCa.start({ now: clock.now });
    return new World(await mkdtemp(join(tmpdir(), "signet-agent-")), clock, ca);
  }

  async startAgent(settings: Settings = {}, limits: Partial<WorkloadLimits> = {}): Promise<void> {
    const config = parseConfig({
      caUrl: { value: this.ca.url, source: "test" },
      trustDomain: { value: "cluster.local", source: "test" },
      socket: { value: this.socket, source: "test" },
      admin: { value: "127.0.0.1:0", source: "test" },
      ...settings,
    });
    const { clock, metrics } = this;
    this.agent = await startAgent(
      config,
      {
        now: clock.now,
        monotonic: clock.monotonic,
        setTimer: clock.setTimer,
        random: () => 0.5,
        log: this.#log(),
        metrics,
      },
      limits,
    );
  }

  get socket(): string {
    return join(this.folder, "s");
  }

  /** A process of its own on the socket. */
  client(): SdsClient {
    const client = new SdsClient(this.socket);
    this.#clients.push(client);
    return client;
  }

  async workloads(): Promise<Record<string, unknown>[]> {
    const response = await fetch(`${this.agent.adminUrl}/v1/workloads`);
    return (await response.json()) as Record<string, unknown>[];
  }

  async untilRequests(count: number): Promise<void> {
    await until(`${count} requests at the CA`, () => this.ca.requests.length >= count, { every: 5 });
  }

  async untilLogged(message: string): Promise<LogLine> {
    return await until(`the log line "${message}"`, () => this.lines.find((line) => line.message === message), {
      every: 5,
    });
  }

  /** Ends everything and proves that nothing is left of it. */
  async stop(): Promise<void> {
    await this.agent.stop();
    for (const client of this.#clients) client.close();
    await this.ca.stop();
    expect(this.metrics.streams).toBe(0);
    expect(this.agent.planned()).toBe(0);
    expect(this.clock.timers).toBe(0);
    expect(existsSync(this.socket)).toBe(false);
    expect(JSON.stringify(this.lines)).not.toMatch(/-----BEGIN|eyJ/);
    await rm(this.folder, { recursive: true });
  }

  #log(): Logger {
    const at = (level: string) => (fields: LogFields, message: string) => {
      this.lines.push({ level, fields, message });
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

let pods = 0;

export function makePod(serviceAccount = "sleep", namespace = "foo"): Pod {
  pods++;
  return { namespace, serviceAccount, podName: `${serviceAccount}-${pods}`, podUid: `pod-uid-${pods}` };
}

/** Serial number of the leaf in a response, as OpenSSL writes it. */
export function serialOf(response: SeenResponse): string {
  return new X509Certificate(response.secrets[0]?.chain ?? "").serialNumber.toLowerCase();
}

/**
 * Waits until the agent has taken in what was sent before on `client`, by a round trip on a stream of its own: order on one
 * connection is kept, so that "nothing was sent" can be said without a clock.
 */
export async function settle(client: SdsClient): Promise<void> {
  const probe = client.stream({});
  await probe.end();
  await new Promise((resolve) => setImmediate(resolve));
}
