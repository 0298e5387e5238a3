import { Agenda } from "@signet/node-agent/agenda";
import { verifyAnswer } from "@signet/node-agent/ca/answer";
import { TrustBundleStore } from "@signet/node-agent/ca/bundle";
import { CaClient } from "@signet/node-agent/ca/client";
import { noNodeToken } from "@signet/node-agent/identity/node-token";
import { Metrics } from "@signet/node-agent/metrics";
import { createCsr } from "@signet/node-agent/svid/csr";
import { generateKey } from "@signet/node-agent/svid/key";
import { SpiffeId, TrustDomain } from "@signet/shared/spiffe-id";
import { expect } from "vitest";
import { type Pod, ScriptedCa } from "../support/scripted-ca.ts";
import { makeLogger } from "../support/test-logger.ts";
import { makePod, TestClock } from "./world.ts";

export interface CaBenchOptions {
  /** How many URLs the CA has. */
  readonly urls?: number;
  /** Of the CA, where it is another than the agent's. */
  readonly trustDomain?: string;
  /** Another CA is behind the last of them. */
  readonly stranger?: boolean;
  readonly answerMilliseconds?: number;
}

export interface Got {
  readonly spiffeId: string;
  readonly serialNumber: string;
}

/** One agent's client, and a CA at one URL or more. */
export class CaBench {
  readonly clock = new TestClock();
  readonly metrics = new Metrics();
  readonly log = makeLogger();
  readonly cas: ScriptedCa[] = [];
  readonly #deps = { ...this.clock, now: this.clock.now, random: () => 0.5, log: this.log, metrics: this.metrics };
  readonly #agenda = new Agenda(this.#deps);
  readonly #trustDomain = TrustDomain.parse("cluster.local");
  readonly bundles = new TrustBundleStore(this.#trustDomain, this.#deps);
  client!: CaClient;

  static async start({
    urls = 1,
    stranger = false,
    trustDomain,
    answerMilliseconds,
  }: CaBenchOptions = {}): Promise<CaBench> {
    const bench = new CaBench();
    const { cas, clock } = bench;
    for (let at = 0; at < urls; at++) {
      const first = stranger && at === urls - 1 ? undefined : cas[0];
      cas.push(
        await ScriptedCa.start({
          now: clock.now,
          ...(trustDomain && { trustDomain }),
          ...(first !== undefined && { sameAs: first }),
        }),
      );
    }
    bench.client = await CaClient.open({
      urls: cas.map(({ url }) => new URL(url)),
      proxies: new Map(),
      pinnedCa: undefined,
      nodeToken: noNodeToken,
      trustDomain: bench.#trustDomain,
      agenda: bench.#agenda,
      deps: bench.#deps,
      ...(answerMilliseconds !== undefined && { answerMilliseconds }),
    });
    return bench;
  }

  /** The CA at its URL of that place in the order. */
  ca(at: number): ScriptedCa {
    const ca = this.cas[at];
    if (ca === undefined) throw new Error(`there is no URL ${at}`);
    return ca;
  }

  /** Asks for a pod as the agent does: a key of its own, and every check of the answer. */
  async get(pod: Pod, more: { expiresAt?: number; retry?: boolean; token?: string } = {}): Promise<Got> {
    const spiffeId = SpiffeId.parse(`spiffe://cluster.local/ns/${pod.namespace}/sa/${pod.serviceAccount}`);
    const key = generateKey();
    const leaf = await this.client.issue({
      token: more.token ?? this.ca(0).token(pod),
      csr: createCsr(key, spiffeId),
      ttlSeconds: undefined,
      expiresAt: more.expiresAt,
      retry: more.retry ?? false,
      take: (answer) => {
        this.bundles.offer(answer.trustBundle);
        const bundle = this.bundles.current;
        if (bundle === undefined) throw new Error("no bundle");
        const checked = { spiffeId, publicKey: key.publicKey, bundle, ttlSeconds: undefined, now: this.clock.now() };
        return verifyAnswer(answer, checked);
      },
    });
    return { spiffeId: spiffeId.toString(), serialNumber: leaf.serialNumber };
  }

  /** Asks for so many pods at once; each has a service account of its own. */
  getMany(count: number): Promise<PromiseSettledResult<Got>[]> {
    return Promise.allSettled(Array.from({ length: count }, (_, at) => this.get(makePod(`account-${at}`))));
  }

  /** What became of requests to a URL, by result. */
  results(at: number): Record<string, number> {
    const prefix = `${new URL(this.ca(at).url).href} `;
    return Object.fromEntries(
      [...this.metrics.caRequests].flatMap(([key, count]) =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), count]] : [],
      ),
    );
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#agenda.stop();
    await Promise.all(this.cas.map((ca) => ca.stop()));
    expect(this.clock.timers).toBe(0);
    expect(JSON.stringify(this.log.lines)).not.toMatch(/-----BEGIN|eyJ/);
  }
}

export function codesOf(results: readonly PromiseSettledResult<Got>[]): unknown[] {
  return results.map((result) => (result.status === "fulfilled" ? "issued" : result.reason.code));
}
