import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/poll.ts";
import { makePod, World } from "./world.ts";

/** Every family of the agent's own, by type: what a dashboard may count on. */
const families = {
  counter: [
    "signet_agent_bundle_failures_total",
    "signet_agent_ca_requests_total",
    "signet_agent_ca_retry_budget_exhausted_total",
    "signet_agent_ca_short_lived_total",
    "signet_agent_clock_jumps_total",
    "signet_agent_csi_publish_total",
    "signet_agent_issuance_total",
    "signet_agent_log_lines_lost_total",
    "signet_agent_renewals_total",
    "signet_agent_sds_acks_total",
    "signet_agent_sds_nacks_total",
    "signet_agent_sds_pushes_total",
    "signet_agent_sds_refused_connections_total",
    "signet_agent_sds_refused_streams_total",
    "signet_agent_sds_unknown_names_total",
    "signet_agent_sockets_restored_total",
    "signet_agent_tokens_verified_offline_total",
  ],
  gauge: [
    "signet_agent_build_info",
    "signet_agent_bundle_confirmed_timestamp_seconds",
    "signet_agent_bundle_learned_timestamp_seconds",
    "signet_agent_bundle_refresh_hint_seconds",
    "signet_agent_bundle_root_expiry_timestamp_seconds",
    "signet_agent_bundle_sequence",
    "signet_agent_ca_endpoint_last_failure_timestamp_seconds",
    "signet_agent_ca_endpoint_last_success_timestamp_seconds",
    "signet_agent_ca_endpoint_up",
    "signet_agent_ca_last_success_timestamp_seconds",
    "signet_agent_certificate_expiry_timestamp_seconds",
    "signet_agent_certificate_issued_timestamp_seconds",
    "signet_agent_certificate_renewal_timestamp_seconds",
    "signet_agent_csi_registered",
    "signet_agent_csi_volumes",
    "signet_agent_sds_calls",
    "signet_agent_sds_connections",
    "signet_agent_sds_streams",
    "signet_agent_workload_streams",
    "signet_agent_workloads",
  ],
  histogram: [
    "signet_agent_ca_batch_items",
    "signet_agent_ca_request_seconds",
    "signet_agent_sds_ack_seconds",
    "signet_agent_sds_push_seconds",
  ],
};

describe("/metrics", () => {
  let world: World;
  const scrape = async () => await (await fetch(`${world.agent.adminUrl}/metrics`)).text();
  const sample = (text: string, series: string) =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length + 1),
    );
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world.stop());

  test("has these families, each with help and a name that tells its type and unit", async () => {
    const text = await scrape();
    const found = [...text.matchAll(/^# TYPE (signet_agent_\S+) (\S+)$/gm)].map(([, name, type]) => `${type} ${name}`);
    const wanted = Object.entries(families).flatMap(([type, names]) => names.map((name) => `${type} ${name}`));
    expect(found.toSorted()).toEqual(wanted.toSorted());
    for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm))
      expect(text).toMatch(new RegExp(`^# HELP ${name} \\S.{9,}$`, "m"));
    for (const name of families.counter) expect(name).toMatch(/_total$/);
    for (const name of families.gauge) expect(name).not.toMatch(/_total$/);
    for (const [, name] of text.matchAll(/^# TYPE (\S*(?:timestamp|duration)\S*) /gm))
      expect(name).toMatch(/_seconds(_total)?$/);
  });

  test("tells when certificates were issued, are due and expire, and how renewals went", async () => {
    const pod = makePod("sleep", "foo");
    const stream = world
      .client()
      .withToken(world.ca.token(pod, { lifetime: 86_400 }))
      .request({ names: ["default"] });
    await stream.nextAcked(["default"]);
    const labels = `{spiffe_id="spiffe://cluster.local/ns/foo/sa/sleep",workload="foo/${pod.podName}"}`;
    const times = (text: string) =>
      ["issued", "renewal", "expiry"].map((what) =>
        sample(text, `signet_agent_certificate_${what}_timestamp_seconds${labels}`),
      );
    const [issued = 0, due = 0, expiry = 0] = times(await scrape());
    expect(due - issued).toBeCloseTo((expiry - issued) / 2, 3);
    expect(expiry - issued).toBeGreaterThan(3_590);
    world.clock.advance(1_900);
    await stream.nextAcked(["default"]);
    const text = await until("the answer to be counted", async () => {
      const latest = await scrape();
      return sample(latest, "signet_agent_sds_acks_total") === 2 && latest;
    });
    expect(times(text)[0]).toBeGreaterThan(issued + 1_890);
    expect(text).toContain('signet_agent_renewals_total{result="issued"} 1');
    expect(text).toContain('signet_agent_issuance_total{result="issued"} 2');
    expect(sample(text, "signet_agent_sds_push_seconds_count")).toBe(2);
    expect(sample(text, "signet_agent_sds_ack_seconds_count")).toBe(2);
    expect(sample(text, "signet_agent_sds_connections")).toBe(1);
    expect(sample(text, `signet_agent_workload_streams${labels}`)).toBe(1);
    expect(sample(text, `signet_agent_ca_endpoint_up{url="${world.ca.url}/"}`)).toBe(1);
  });

  test("holds no name that a client made up", async () => {
    const client = world.client();
    const before: readonly string[] = (await scrape()).match(/^signet_agent\S+(?= )/gm) ?? [];
    const made = { namespace: "madeup", podName: "madeup", serviceAccount: "madeup", podUid: "madeup" };
    await client
      .withToken(world.ca.forge(made))
      .request({ names: ["default"] })
      .end();
    await client.stream({ authorization: "Bearer madeup.madeup.madeup" }).end();
    await client.stream({ authorization: "madeup", "x-madeup": "madeup" }).end();
    const known = client.withToken(world.ca.token(makePod("known")));
    const names = Array.from({ length: 50 }, (_, at) => `madeup-${at}"} 1\nmadeup_total 1`);
    known.request({ names: ["default", ...names] });
    known.request({ names: ["default"], nonce: "madeup", nack: "madeup" });
    await known.next();
    const text = await scrape();
    expect(text).not.toContain("madeup");
    // One workload more, with its four series, and the codes of what was refused.
    const fresh = (text.match(/^signet_agent\S+(?= )/gm) ?? []).filter((series) => !before.includes(series));
    expect(fresh.filter((series) => !series.includes("known")).toSorted()).toEqual([
      ...["ca_requests_total", "issuance_total"].map((name) => expect.stringContaining(name)),
      ...["malformed-token", "token-not-accepted"].map(
        (code) => `signet_agent_sds_refused_streams_total{code="${code}"}`,
      ),
    ]);
    expect(fresh.filter((series) => series.includes("known"))).toHaveLength(4);
  });
});
