import { makeForeignIdentity, requestIdentity } from "../support/certificates.ts";
import { spiffeIdOf } from "../support/envoy-config.ts";
import { call } from "../support/load.ts";
import { callPlain, callTls, type Outcome } from "../support/stranger.ts";
import { CheckFailed } from "./check.ts";
import type { Screen } from "./screen.ts";
import type { Stage } from "./stage.ts";

/** The four requests of Istio's task. */
export async function callAllPairs(screen: Screen, { mesh }: Stage): Promise<void> {
  for (const pair of mesh.pairs) {
    const { status, caller } = await call(pair);
    screen.line(`${pair.from.name} to ${pair.to.name}: ${status}`);
    const logs = [pair.from, pair.to].map(({ name, envoy }) => [name, envoy.tail()] as const);
    if (status !== 200) throw new CheckFailed(`${pair.from.name} to ${pair.to.name} was answered ${status}`, logs);
    if (caller !== pair.from.spiffeId) {
      throw new CheckFailed(`${pair.to.name} took ${pair.from.name} for ${caller ?? "nobody"}`, logs);
    }
  }
  screen.ok("each httpbin saw the SPIFFE ID of the sleep that called, each sleep checked that of its httpbin");
}

/** Whoever is not one of the two sleeps gets no answer from httpbin. */
export async function refuseStrangers(screen: Screen, stage: Stage): Promise<void> {
  const port = stage.mesh.inboundPorts.foo;
  const sleep = spiffeIdOf("foo", "sleep");
  const visitor = await requestIdentity(stage.ca.url, await stage.tokensFor("foo", "visitor"));
  const friend = await requestIdentity(stage.ca.url, await stage.tokensFor("foo", "sleep"));
  const strangers: readonly (readonly [string, Promise<Outcome>])[] = [
    ["without TLS", callPlain(port)],
    ["with TLS and no certificate", callTls(port)],
    ["with another CA's certificate for sleep", callTls(port, await makeForeignIdentity(sleep))],
    ["with our CA's certificate for another account", callTls(port, visitor)],
  ];
  for (const [who, asked] of strangers) {
    const { status, fault } = await asked;
    if (status !== undefined) throw new CheckFailed(`a client ${who} was answered ${status} by httpbin.foo`);
    screen.ok(`no answer for a client ${who} (${inWords(fault)})`);
  }
  // The same client with the right identity is let in, so it was the identity that made the difference.
  const { status, fault } = await callTls(port, friend);
  if (status !== 200)
    throw new CheckFailed(`a client with an identity of sleep was not answered 200 but ${status ?? fault}`);
  screen.ok("and 200 for the same client with an identity of sleep");
}

/** `ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED` as people say it. */
function inWords(fault: string): string {
  const alert = /^ERR_SSL_.*ALERT_(\w+)$/.exec(fault)?.[1];
  return alert === undefined ? fault : `TLS alert: ${alert.toLowerCase().replaceAll("_", " ")}`;
}
