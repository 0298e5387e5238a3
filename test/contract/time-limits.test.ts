import { nodeTokenHeader } from "@signet/shared/ca-api";
import { beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig } from "../support/ca-config.ts";
import { authorityFor, startCaInProcess } from "../support/ca-in-process.ts";
import { makeCsr } from "../support/csr.ts";
import { until } from "../support/poll.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { holdToDocument } from "./hold-to-document.ts";

const node = makeNode("node-1");
let issuer: TokenIssuer;
let open: Awaited<ReturnType<typeof authorityFor>>;

beforeAll(async () => {
  issuer = await TokenIssuer.create();
  open = await authorityFor("cluster.local");
});

/** A CA whose timers the test lets run out, with what it is asked. */
async function startCa(read?: () => Promise<string>) {
  const timers = new Map<() => void, number>();
  const ca = await startCaInProcess(caConfig({ keys: issuer.jwks }), {
    setTimer(run, milliseconds) {
      timers.set(run, milliseconds);
      return () => timers.delete(run);
    },
    open: read === undefined ? open : () => ({ read }),
  });
  const fetch = await holdToDocument(ca);
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${await issuer.token(makePod("foo", "sleep", node))}`,
    [nodeTokenHeader]: await issuer.token(makePod(agentServiceAccount.namespace, agentServiceAccount.name, node)),
  };
  const post = (path: string, body: BodyInit) =>
    fetch(path, { method: "POST", headers, body, duplex: "half" } as RequestInit);
  /** Waits for a timer of that time, and lets it run out. */
  async function runOut(milliseconds: number) {
    const due = () => [...timers].find(([, time]) => time === milliseconds)?.[0];
    await until("the timer to be set", () => due() !== undefined);
    due()?.();
  }
  return { ca, timers, post, runOut };
}

describe("a body that does not arrive", () => {
  test.each(["/v1/certificates", "/v1/certificates/batch"])("is waited for no longer than 8 s: %s", async (path) => {
    const { post, runOut, timers } = await startCa();
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{"csr":')) });
    const asked = post(path, body);
    await runOut(8_000);
    const response = await asked;
    expect(response.status).toBe(408);
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:request-timeout" });
    expect(timers.size).toBe(0);
  });

  test("is malformed where it breaks off", async () => {
    const { post } = await startCa();
    const body = new ReadableStream({ start: (controller) => controller.error(new TypeError("aborted")) });
    const response = await post("/v1/certificates", body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:malformed-request" });
  });
});

describe("a request that hangs", () => {
  test("is answered after 20 s: nothing can be signed now", async () => {
    let reads = 0;
    const { post, runOut, timers } = await startCa(() => {
      reads++;
      return new Promise(() => {});
    });
    const asked = post("/v1/certificates", JSON.stringify({ csr: makeCsr() }));
    await until("the authority to be read", () => reads > 0);
    await runOut(20_000);
    const response = await asked;
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await response.json()).toMatchObject({ type: "urn:signet:problem:cannot-sign" });
    expect(timers.size).toBe(0);
  });

  test("no other leaves a timer behind", async () => {
    const { post, timers } = await startCa();
    expect((await post("/v1/certificates", JSON.stringify({ csr: makeCsr() }))).status).toBe(201);
    expect((await post("/v1/certificates", "{")).status).toBe(400);
    expect(timers.size).toBe(0);
  });
});
