import { batchItem, certificateRequest, nodeTokenHeader } from "@signet/shared/ca-api";
import { type CaErrorCode, SignetError } from "@signet/shared/errors";
import * as v from "valibot";
import { agentServiceAccount, caConfig } from "./ca-config.ts";
import { startCaInProcess } from "./ca-in-process.ts";
import { dnsName, makeCsr, makeKey } from "./csr.ts";
import { makeNode, makePod, TokenIssuer } from "./token-issuer.ts";

const spiffeId = "spiffe://cluster.local/ns/foo/sa/sleep";

/** What a CA in this process is asked and answers: the examples of the OpenAPI document, with problems of all codes. */
export async function makeExamples() {
  const issuer = await TokenIssuer.create();
  const config = caConfig({ keys: issuer.jwks });
  const node = makeNode("node-1");
  const token = await issuer.token(makePod("foo", "sleep", node, "sleep-5d8c7f9b4-x2x7q"));
  const agent = await issuer.token(
    makePod(agentServiceAccount.namespace, agentServiceAccount.name, node, "signet-node-agent-h7kqz"),
  );
  const request = v.parse(certificateRequest, { csr: makeCsr({ uris: [spiffeId] }), ttlSeconds: 3_600 });
  const ca = await startCaInProcess(config);
  const noAuthority = await startCaInProcess(config, {
    open: () => ({
      read() {
        throw new SignetError("authority-unavailable", "SIGNET_AUTHORITY is not set");
      },
    }),
  });
  const noKeys = await startCaInProcess(caConfig({ keys: "https://issuer.example.com/keys" }), {
    fetch: () => Promise.reject(new TypeError("no route to the issuer")),
  });
  const broken = await startCaInProcess(config, {
    clock: () => {
      throw new TypeError("broken clock");
    },
  });

  const post = (body: unknown, headers: Record<string, string> = {}, to = ca, path = "/v1/certificates") =>
    to.fetch(path, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
        [nodeTokenHeader]: agent,
        ...headers,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const withCsr = (csr: string) => post({ csr });
  const get = async (path: string, from = ca) => (await from.fetch(path)).json();

  const item = v.parse(batchItem, { token, ...request });
  const batchRequest = { requests: [item, { ...item, csr: makeCsr({ uris: [`${spiffeId}-2`] }) }] };
  const slow = await startCaInProcess(config, {
    setTimer(run, milliseconds) {
      // Of the two times that pass, the one for the body.
      if (milliseconds < 10_000) run();
      return () => {};
    },
  });
  const limited = await startCaInProcess({
    ...config,
    rateLimits: { perNode: { certificates: 1, per: "1m" } },
  });
  await post(request, {}, limited);
  const problems: Record<CaErrorCode, Response> = {
    "malformed-request": await post("{}"),
    "malformed-csr": await withCsr(makeCsr({ signWith: makeKey() })),
    "csr-not-allowed": await withCsr(makeCsr({ names: [dnsName("example.com")] })),
    "key-not-allowed": await withCsr(makeCsr({ key: makeKey("rsa2048") })),
    "token-missing": await post(request, { authorization: "" }),
    "token-not-accepted": await post(request, { authorization: `Bearer ${token}x` }),
    "node-not-entitled": await post(request, { [nodeTokenHeader]: token }),
    "identity-not-entitled": await withCsr(makeCsr({ uris: [`${spiffeId}-2`] })),
    "not-found": await ca.fetch("/v1/nothing"),
    "method-not-allowed": await ca.fetch("/v1/certificates"),
    "body-too-large": await post(JSON.stringify({ csr: "x".repeat(70_000) }), { "content-length": "70010" }),
    "unsupported-media-type": await post(request, { "content-type": "text/plain" }),
    "request-timeout": await post(request, {}, slow),
    "rate-limited": await post(request, {}, limited),
    "issuer-unavailable": await post(request, {}, noKeys),
    "cannot-sign": await post(request, {}, noAuthority),
    internal: await post(request, {}, broken),
  };
  return {
    certificateRequest: request,
    certificate: await (await post(request)).json(),
    batchRequest,
    batchAnswer: await (await post(batchRequest, {}, ca, "/v1/certificates/batch")).json(),
    trustBundle: await get("/v1/trust-bundle"),
    spiffeBundle: await get("/.well-known/spiffe-bundle"),
    tokenIssuers: await get("/v1/token-issuers"),
    health: await get("/healthz"),
    ready: await get("/readyz"),
    notReady: await get("/readyz", noAuthority),
    problems: Object.fromEntries(
      await Promise.all(Object.entries(problems).map(async ([code, response]) => [code, await response.json()])),
    ),
  };
}
