import { expect, test } from "vitest";
import { everything, nodeWith, ownDomain, ownId, refusal, StreamClient, TestSecrets } from "./test-secrets.ts";
import { type Validator, validatorKey } from "./validator.ts";

interface Rule {
  readonly rule: string;
  /** Where it comes from: xDS is Envoy's protocol document, the others are what peers test or got wrong. */
  readonly source: string;
  /** Both secrets are there, in their first content. */
  readonly holds: (client: StreamClient, secrets: TestSecrets) => void;
}

const rules: readonly Rule[] = [
  {
    rule: "a first request is answered whatever nonce and version it carries",
    source: "Istio TestSDS reconnect, SPIRE #813",
    holds: (client, secrets) => {
      client.ask(["default"], { responseNonce: "17", versionInfo: secrets.version("svid") ?? "" });
      expect(client.next().names).toEqual(["default"]);
      expect(secrets.metrics.acks).toBe(0);
    },
  },
  {
    rule: "so is a second one before anything was sent, when no nonce can be stale",
    source: "xDS nonce",
    holds: (client) => {
      client.ask(["nonsense"], { responseNonce: "17" }).ask(["default"], { responseNonce: "17" });
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "a stale nonce is not answered, and its names do not count",
    source: "xDS nonce",
    holds: (client, secrets) => {
      client.ask(["ROOTCA"]);
      const { nonce } = client.next();
      secrets.change("bundle");
      client.next();
      client.ask(["ROOTCA", "default"], { responseNonce: nonce });
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "a refusal is not answered, and not repeated until the content changes",
    source: "Istio TestSDS nack",
    holds: (client, secrets) => {
      client.ask(["default"]);
      client.ask(["default"], { responseNonce: client.next().nonce, errorDetail: refusal() });
      expect(client.untaken).toBe(0);
      expect(secrets.metrics).toMatchObject({ acks: 0, nacks: 1 });
      secrets.change("svid");
      expect(client.next().version).toBe("serial-2");
    },
  },
  {
    rule: "the detail makes the refusal, not an older version",
    source: "xDS ACK and NACK",
    holds: (client, secrets) => {
      client.ask(["default"]);
      client.ask(["default"], { responseNonce: client.next().nonce, versionInfo: "older" });
      expect(secrets.metrics).toMatchObject({ acks: 1, nacks: 0 });
    },
  },
  {
    rule: "a response is accepted or refused once, however often its nonce comes back",
    source: "xDS resource updates",
    holds: (client, secrets) => {
      client.ask(["default"]);
      const { nonce } = client.next();
      client.ask(["default"], { responseNonce: nonce }).ask(["default", "ROOTCA"], { responseNonce: nonce });
      expect(secrets.metrics.acks).toBe(1);
      expect(client.next().names).toEqual(["ROOTCA"]);
    },
  },
  {
    rule: "a refusal of the response before the last is counted, though it is stale",
    source: "xDS nonce",
    holds: (client, secrets) => {
      client.ask(["default"]);
      const { nonce } = client.next();
      secrets.change("svid");
      client.ask(["default"], { responseNonce: nonce, errorDetail: refusal() });
      expect(secrets.metrics.nacks).toBe(1);
    },
  },
  {
    rule: "a refusal may change the names",
    source: "A1, SPIRE handler",
    holds: (client) => {
      client.ask(["default"]);
      client.ask(["default", "ROOTCA"], { responseNonce: client.next().nonce, errorDetail: refusal() });
      expect(client.next().names).toEqual(["ROOTCA"]);
    },
  },
  {
    rule: "a name that is left out gets no more",
    source: "Istio TestSDS unsubscribe",
    holds: (client, secrets) => {
      client.ask(everything);
      client.ask(["ROOTCA"], { responseNonce: client.next().nonce });
      secrets.change("svid");
      expect(client.untaken).toBe(0);
      expect(secrets.holds).toEqual(["bundle"]);
    },
  },
  {
    rule: "no names after names mean nothing",
    source: "xDS subscriptions, SotW example",
    holds: (client, secrets) => {
      client.ask(["default"]);
      client.ask([], { responseNonce: client.next().nonce });
      secrets.change("svid");
      expect(client.untaken).toBe(0);
      expect(secrets.holds).toEqual([]);
    },
  },
  {
    rule: "no names from the beginning mean everything, for as long as none are said",
    source: "xDS legacy wildcard, SPIRE",
    holds: (client, secrets) => {
      client.ask([]);
      const { names, nonce } = client.next();
      expect(names).toEqual(everything);
      client.ask([], { responseNonce: nonce });
      expect(client.untaken).toBe(0);
      secrets.change("bundle");
      expect(client.next().names).toEqual(["ROOTCA"]);
    },
  },
  {
    rule: "* means everything besides the names that are said",
    source: "xDS subscriptions, SotW example",
    holds: (client, secrets) => {
      client.ask(["*", "ALL"]);
      const { names, nonce } = client.next();
      expect(names).toEqual([...everything, "ALL"]);
      client.ask(["ALL"], { responseNonce: nonce });
      secrets.change("svid");
      expect(client.untaken).toBe(0);
      expect(secrets.metrics.unknownNames).toBe(0);
    },
  },
  {
    rule: "a name that was given up is sent again when it comes back",
    source: "xDS: the server must resend newly requested resources",
    holds: (client) => {
      client.ask(everything);
      const { nonce } = client.next();
      client.ask(["ROOTCA"], { responseNonce: nonce }).ask(everything, { responseNonce: nonce });
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "the same request again is answered with nothing",
    source: "Istio TestSDS repeated request",
    holds: (client) => {
      client.ask(everything);
      const { nonce } = client.next();
      client.ask(everything, { responseNonce: nonce }).ask(everything, { responseNonce: nonce }).ask(everything);
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "a name that is said twice comes once",
    source: "xDS duplicate resource names",
    holds: (client) => {
      client.ask(["default", "ROOTCA", "default"]);
      expect(client.next().names).toEqual(["default", "ROOTCA"]);
    },
  },
  {
    rule: "root first, then the certificate",
    source: "Istio TestSDS root first",
    holds: (client) => {
      client.ask(["ROOTCA"]);
      const { names, nonce } = client.next();
      expect(names).toEqual(["ROOTCA"]);
      client.ask(["ROOTCA", "default"], { responseNonce: nonce });
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "a new certificate is pushed alone; who wants the roots only gets nothing",
    source: "Istio TestSDS push, multiplexed and not",
    holds: (client, secrets) => {
      const roots = new StreamClient(secrets).ask(["ROOTCA"]);
      roots.next();
      client.ask(everything);
      client.next();
      secrets.change("svid");
      expect(client.next()).toMatchObject({ names: ["default"], version: "serial-2" });
      expect(roots.untaken).toBe(0);
    },
  },
  {
    rule: "each response has a nonce of its own",
    source: "A1",
    holds: (client, secrets) => {
      client.ask(["default"]);
      secrets.change("svid");
      secrets.change("svid");
      const nonces = [client.next().nonce, client.next().nonce, client.next().nonce];
      expect(new Set([...nonces, ""]).size).toBe(4);
    },
  },
  {
    rule: "changes that come while a client does not read reach it as one",
    source: "Istio 1.4 multiple push guard",
    holds: (client, secrets) => {
      client.reader.reads = false;
      client.ask(["default"]);
      for (let n = 0; n < 5; n++) secrets.change("svid");
      expect(client.untaken).toBe(1);
      client.reader.drain();
      client.next();
      expect(client.next().version).toBe("serial-6");
      expect(client.untaken).toBe(0);
    },
  },
  {
    rule: "a secret that is not there yet is sent when it comes, and nothing until then",
    source: "xDS: servers must remember; Istio TestSDS unknown, later success",
    holds: (client, secrets) => {
      secrets.vanish("svid");
      client.ask(["default"]);
      expect(client.untaken).toBe(0);
      secrets.change("svid");
      expect(client.next().names).toEqual(["default"]);
    },
  },
  {
    rule: "a secret that has run out is not taken back, and its successor is sent",
    source: "A1: SotW has no removal; Istio closes the stream here",
    holds: (client, secrets) => {
      client.ask(["default"]);
      const { nonce } = client.next();
      secrets.vanish("svid");
      client.ask(["default"], { responseNonce: nonce });
      expect(client.untaken).toBe(0);
      secrets.change("svid");
      expect(client.next().version).toBe("serial-2");
    },
  },
  {
    rule: "an unknown name is told of once and touches nothing else",
    source: "SPIRE #3325, Istio #54220, Istio 1.4 invalid name",
    holds: (client, secrets) => {
      client.ask(["file-root:system", "default"]);
      const { names, nonce } = client.next();
      expect(names).toEqual(["default"]);
      client.ask(["file-root:system", "default"], { responseNonce: nonce });
      secrets.change("svid");
      expect(client.next().names).toEqual(["default"]);
      expect(secrets.metrics.unknownNames).toBe(1);
      expect(secrets.lines.map(({ fields }) => fields)).toEqual([
        { pod: "foo/sleep", names: ["file-root:system"], count: 1 },
      ]);
    },
  },
  {
    rule: "every name there is can be asked for at once, and comes back as asked",
    source: "SPIRE answers one of ROOTCA, ALL and the trust domain",
    holds: (client) => {
      const names = ["default", ownId, "ROOTCA", "ALL", ownDomain];
      expect(client.ask(names).next().names).toEqual(names);
    },
  },
  {
    rule: "another's SPIFFE ID or trust domain is an unknown name",
    source: "A1; least privilege",
    holds: (client, secrets) => {
      client.ask(["spiffe://cluster.local/ns/foo/sa/httpbin", "spiffe://other.example"]);
      expect(client.untaken).toBe(0);
      expect(secrets.metrics.unknownNames).toBe(2);
      expect(secrets.holds).toEqual([]);
    },
  },
  {
    rule: "streams of one process have nothing to do with each other",
    source: "Istio TestSDS concurrent connections, concurrent reconnect without close",
    holds: (client, secrets) => {
      const other = new StreamClient(secrets);
      client.ask(["default"]);
      const { nonce } = client.next();
      other.ask(["default"], { responseNonce: nonce });
      expect(other.next().names).toEqual(["default"]);
      client.stream.close();
      secrets.change("svid");
      expect(other.next().version).toBe("serial-2");
      expect(client.untaken).toBe(0);
      expect(secrets.metrics.openStreams.StreamSecrets).toBe(1);
    },
  },
  {
    rule: "a type_url may be left out",
    source: "sds.proto: the service has one type",
    holds: (client) => {
      expect(client.ask(["default"], { typeUrl: "" }).next().names).toEqual(["default"]);
    },
  },
  {
    rule: "a stream that is closed takes and sends no more",
    source: "Istio: goroutine leaks",
    holds: (client, secrets) => {
      client.ask(["default"]).next();
      client.stream.close();
      client.stream.close();
      client.ask(["ROOTCA"]);
      secrets.change("bundle");
      expect(client.untaken).toBe(0);
      expect(secrets.metrics.openStreams.StreamSecrets).toBe(0);
      expect(secrets.holds).toEqual([]);
    },
  },
];

test.each(rules)("$rule ($source)", ({ holds }) => {
  const secrets = new TestSecrets();
  secrets.change("svid");
  secrets.change("bundle");
  holds(new StreamClient(secrets), secrets);
});

test("the Envoy that the first request names has its form of bundles for as long as the stream lasts (SPIRE #4608)", () => {
  const secrets = new TestSecrets();
  secrets.change("bundle");
  const version = (validator: Validator) => secrets.current("bundle")?.in(validator).version;
  const client = new StreamClient(secrets);
  client.ask(["ROOTCA"], { node: nodeWith({ [validatorKey]: "spiffe" }) });
  expect(client.next().version).toBe(version("spiffe"));
  secrets.change("bundle");
  const { nonce, ...pushed } = client.next();
  expect(pushed.version).toBe(version("spiffe"));
  client.ask(["ROOTCA"], { responseNonce: nonce });
  secrets.change("bundle");
  expect(client.next().version).toBe(version("spiffe"));
  expect(version("spiffe")).not.toBe(version("trusted-ca"));
});
