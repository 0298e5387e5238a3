import { expect, test } from "vitest";
import { EncodedSecret } from "./secret.ts";
import { DeltaClient, everything, nodeWith, ownDomain, ownId, refusal, TestSecrets } from "./test-secrets.ts";
import { validatorKey } from "./validator.ts";

interface Rule {
  readonly rule: string;
  /** Where it comes from: xDS is Envoy's protocol document, A1 its digest in `reference/envoy-edge.md`. */
  readonly source: string;
  /** Both secrets are there, in their first content. */
  readonly holds: (client: DeltaClient, secrets: TestSecrets) => void;
}

/** The versions that a client has which was sent both secrets. */
const bothVersions = (secrets: TestSecrets) => ({
  default: secrets.version("svid") ?? "",
  ROOTCA: secrets.version("bundle") ?? "",
});

const rules: readonly Rule[] = [
  {
    rule: "each resource has its name and a version of its own",
    source: "discovery.proto Resource",
    holds: (client, secrets) => {
      expect(client.subscribe("default", "ROOTCA").next()).toMatchObject({
        versions: new Map(Object.entries(bothVersions(secrets))),
        removed: [],
      });
    },
  },
  {
    rule: "a change is sent alone",
    source: "xDS grouping resources",
    holds: (client, secrets) => {
      client.subscribe("default", "ROOTCA").next();
      secrets.change("svid");
      expect(client.next()).toMatchObject({ versions: new Map([["default", "serial-2"]]), removed: [] });
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "what is subscribed to again is sent again, though it is current",
    source: "xDS: the server must still provide those resources",
    holds: (client) => {
      client.subscribe("default").next();
      expect(client.subscribe("default").next().names).toEqual(["default"]);
    },
  },
  {
    rule: "what the client brings along in its newest version is not sent when it reconnects",
    source: "xDS initial_resource_versions",
    holds: (client, secrets) => {
      client.ask({ resourceNamesSubscribe: [...everything], initialResourceVersions: bothVersions(secrets) });
      expect(client.untaken).toBe(0);
      secrets.change("bundle");
      expect(client.next().names).toEqual(["ROOTCA"]);
    },
  },
  {
    rule: "what it brings along in another version is sent",
    source: "xDS initial_resource_versions",
    holds: (client, secrets) => {
      const initialResourceVersions = { ...bothVersions(secrets), default: "serial-0" };
      client.ask({ resourceNamesSubscribe: [...everything], initialResourceVersions });
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "what it brings along and does not subscribe to is not sent, and not removed",
    source: "xDS: the client must provide all names that it is interested in",
    holds: (client, secrets) => {
      const initialResourceVersions = { ROOTCA: "old", nonsense: "1" };
      client.ask({ resourceNamesSubscribe: ["default"], initialResourceVersions });
      expect(client.next()).toMatchObject({ names: ["default"], removed: [] });
      secrets.change("bundle");
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "only the first message can bring versions along",
    source: "A1",
    holds: (client, secrets) => {
      client.subscribe("ROOTCA").next();
      client.ask({ resourceNamesSubscribe: ["default"], initialResourceVersions: bothVersions(secrets) });
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "with a wildcard, what it brings along and is nothing here is removed",
    source: "xDS deleting resources",
    holds: (client, secrets) => {
      const initialResourceVersions = { ...bothVersions(secrets), former: "1" };
      client.ask({ initialResourceVersions });
      expect(client.next()).toMatchObject({ names: [], removed: ["former"] });
    },
  },
  {
    rule: "a name that is not known is removed at once, beside what is known",
    source: "xDS: knowing when a resource does not exist",
    holds: (client, secrets) => {
      expect(client.subscribe("default", "nonsense").next()).toMatchObject({
        names: ["default"],
        removed: ["nonsense"],
      });
      secrets.change("svid");
      expect(client.next()).toMatchObject({ names: ["default"], removed: [] });
      expect(secrets.metrics.unknownNames).toBe(1);
    },
  },
  {
    rule: "a secret that is not there yet is not removed, and sent when it comes",
    source: "xDS: servers must remember; sds_api.cc: a removal ends the wait",
    holds: (client, secrets) => {
      secrets.vanish("svid");
      client.subscribe("default");
      expect(client.untaken).toBe(0);
      secrets.change("svid");
      expect(client.next()).toMatchObject({ names: ["default"], removed: [] });
    },
  },
  {
    rule: "a secret that has run out is not removed",
    source: "A1: on_demand_secret fails handshakes on a removal",
    holds: (client, secrets) => {
      client.subscribe("default").next();
      secrets.vanish("svid");
      client.subscribe("ROOTCA");
      expect(client.next()).toMatchObject({ names: ["ROOTCA"], removed: [] });
    },
  },
  {
    rule: "subscriptions change whatever the nonce is",
    source: "xDS: the server must honor changes even if the nonce is stale",
    holds: (client, secrets) => {
      client.subscribe("default");
      const { nonce } = client.next();
      secrets.change("svid");
      client.next();
      client.ask({ resourceNamesSubscribe: ["ROOTCA"], resourceNamesUnsubscribe: ["default"], responseNonce: nonce });
      expect(client.next().names).toEqual(["ROOTCA"]);
      secrets.change("svid");
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "a request without a nonce answers nothing",
    source: "xDS spontaneous requests",
    holds: (client, secrets) => {
      client.subscribe("default").next();
      client.subscribe("ROOTCA").next();
      expect(secrets.metrics).toMatchObject({ acks: 0, nacks: 0 });
    },
  },
  {
    rule: "every response is accepted or refused for itself, and a refusal is not answered",
    source: "A1; never a push loop",
    holds: (client, secrets) => {
      const first = client.subscribe("default").next();
      secrets.change("svid");
      const second = client.next();
      client.ask({ responseNonce: first.nonce }).ask({ responseNonce: second.nonce, errorDetail: refusal() });
      client.ask({ responseNonce: second.nonce, errorDetail: refusal() });
      expect(secrets.metrics).toMatchObject({ acks: 1, nacks: 1 });
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "what is unsubscribed from gets no more, and the request no answer",
    source: "xDS unsubscribing",
    holds: (client, secrets) => {
      client.subscribe("default", "ROOTCA").next();
      client.unsubscribe("default");
      secrets.change("svid");
      expect(client.untaken).toBe(0);
      expect(secrets.holds).toEqual(["bundle"]);
    },
  },
  {
    rule: "superfluous unsubscriptions are ignored",
    source: "xDS phantom unsubscriptions",
    holds: (client, secrets) => {
      client.subscribe("default").next();
      client.unsubscribe("ROOTCA", "nonsense", "*").unsubscribe("ROOTCA");
      expect(client.untaken).toBe(0);
      secrets.change("svid");
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "naming nothing at first means everything, besides what is named later",
    source: "xDS legacy wildcard, incremental example",
    holds: (client, secrets) => {
      expect(client.ask({}).next().names).toEqual(everything);
      expect(client.subscribe("ALL").next().names).toEqual(["ALL"]);
      client.unsubscribe("*");
      secrets.change("svid");
      expect(client.untaken).toBe(0);
      secrets.change("bundle");
      expect(client.next().names).toEqual(["ALL"]);
      client.unsubscribe("ALL").ask({});
      expect(client.untaken).toBe(0);
      expect(secrets.holds).toEqual([]);
    },
  },
  {
    rule: "naming nothing but what is not wanted is no wildcard",
    source: "xDS: no resources in both fields",
    holds: (client) => {
      expect(client.unsubscribe("default").untaken).toBe(0);
    },
  },
  {
    rule: "* means everything, and a name beside it outlives it",
    source: "xDS subscriptions",
    holds: (client, secrets) => {
      expect(client.subscribe("*", "default").next().names).toEqual(everything);
      client.unsubscribe("*");
      secrets.change("bundle");
      expect(client.untaken).toBe(0);
      secrets.change("svid");
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "a name that the wildcard goes on to cover is sent again when it is unsubscribed from",
    source: "xDS unsubscribing, the one exception",
    holds: (client) => {
      client.subscribe("*", "default").next();
      expect(client.unsubscribe("default").next()).toMatchObject({ names: ["default"], removed: [] });
    },
  },
  {
    rule: "a name that the wildcard does not cover is removed then",
    source: "xDS unsubscribing, the one exception",
    holds: (client) => {
      client.subscribe("*", "ALL").next();
      expect(client.unsubscribe("ALL").next()).toMatchObject({ names: [], removed: ["ALL"] });
    },
  },
  {
    rule: "changes that come while a client does not read reach it as one",
    source: "Istio 1.4 multiple push guard",
    holds: (client, secrets) => {
      client.reader.reads = false;
      client.subscribe("default");
      for (let n = 0; n < 5; n++) secrets.change("svid");
      client.subscribe("nonsense");
      expect(client.untaken).toBe(1);
      client.reader.drain();
      client.next();
      expect(client.next()).toMatchObject({ versions: new Map([["default", "serial-6"]]), removed: ["nonsense"] });
    },
  },
  {
    rule: "a name is not removed that is wanted again by the time of the answer",
    source: "A1: never for a secret that Envoy should keep",
    holds: (client) => {
      client.subscribe("*", "ALL").next();
      client.reader.reads = false;
      client.subscribe("default");
      client.unsubscribe("ALL").subscribe("ALL");
      client.next();
      client.reader.drain();
      expect(client.next()).toMatchObject({ names: ["ALL"], removed: [] });
    },
  },
  {
    rule: "every name there is can be asked for at once",
    source: "SPIRE answers one of ROOTCA, ALL and the trust domain",
    holds: (client) => {
      const names = ["default", ownId, "ROOTCA", "ALL", ownDomain];
      expect(client.subscribe(...names).next().names).toEqual(names);
    },
  },
  {
    rule: "a stream that is closed takes and sends no more",
    source: "Istio: goroutine leaks",
    holds: (client, secrets) => {
      client.subscribe("default").next();
      client.stream.close();
      client.stream.close();
      client.subscribe("ROOTCA");
      secrets.change("bundle");
      expect(client.untaken).toBe(0);
      expect(secrets.metrics.openStreams.DeltaSecrets).toBe(0);
      expect(secrets.holds).toEqual([]);
    },
  },
];

test.each(rules)("$rule ($source)", ({ holds }) => {
  const secrets = new TestSecrets();
  secrets.change("svid");
  secrets.change("bundle");
  holds(new DeltaClient(secrets), secrets);
});

test("roots that are others than those which the client brings along are sent", () => {
  const bundle = (rootsPem: string) => EncodedSecret.ofBundle([{ trustDomain: "cluster.local", rootsPem }]);
  const [before, now] = [bundle("old roots"), bundle("new roots")];
  const client = new DeltaClient(new TestSecrets(), { open: () => ({ current: () => now, close: () => {} }) });
  client.ask({
    resourceNamesSubscribe: ["ROOTCA"],
    initialResourceVersions: { ROOTCA: before.in("trusted-ca").version },
  });
  expect(client.next().versions.get("ROOTCA")).toBe(now.in("trusted-ca").version);
});

test("who asks for another form of bundles after a reconnect gets it, though the roots are the same", () => {
  const secrets = new TestSecrets();
  secrets.change("bundle");
  const client = new DeltaClient(secrets);
  client.ask({
    resourceNamesSubscribe: ["ROOTCA"],
    initialResourceVersions: { ROOTCA: secrets.version("bundle") ?? "" },
    node: nodeWith({ [validatorKey]: "spiffe" }),
  });
  expect(client.next().versions.get("ROOTCA")).toBe(secrets.current("bundle")?.in("spiffe").version);
});

test("a client that asks for thousands of unknown names and does not read has a bounded answer waiting", () => {
  const secrets = new TestSecrets();
  const client = new DeltaClient(secrets);
  client.reader.reads = false;
  const ask = (n: number) =>
    client.subscribe(...Array.from({ length: 1_000 }, (_, at) => `${n}-${at}-${"x".repeat(150)}`));
  for (let n = 0; n < 20; n++) ask(n);
  client.reader.drain();
  expect(client.reader.messages.map(({ length }) => length < 100_000)).toEqual([true, true]);
  expect(secrets.metrics.unknownNames).toBe(20_000);
});
