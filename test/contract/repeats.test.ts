import { type Certificate, nodeTokenHeader } from "@signet/shared/ca-api";
import { beforeAll, describe, expect, test } from "vitest";
import { agentServiceAccount, caConfig, trustDomain } from "../support/ca-config.ts";
import { makeAuthorityText, startCaInProcess } from "../support/ca-in-process.ts";
import { makeCsr } from "../support/csr.ts";
import { makeNode, makePod, TokenIssuer } from "../support/token-issuer.ts";
import { holdToDocument } from "./hold-to-document.ts";

const node = makeNode("node-1");
const agent = makePod(agentServiceAccount.namespace, agentServiceAccount.name, node);
const pod = makePod("foo", "sleep", node);
const csr = makeCsr();
let issuer: TokenIssuer;
let documents: readonly { readonly authorities: readonly object[] }[];

beforeAll(async () => {
  issuer = await TokenIssuer.create();
  documents = (await Promise.all([0, 1].map(() => makeAuthorityText(trustDomain)))).map((text) => JSON.parse(text));
});

/** An authority document with the first, and the second, authority in these states. */
function documentOf(sequence: number, ...states: readonly string[]): string {
  const authorities = states.map((state, at) => ({ ...documents[at]?.authorities[0], id: `authority-${at}`, state }));
  return JSON.stringify({ version: 1, sequence, authorities });
}

async function startCa() {
  const state = { now: Date.now() / 1000, document: documentOf(1, "active"), denyList: "{}", reads: 0 };
  const config = { ...caConfig({ keys: issuer.jwks }), policy: { default: "allow", denyLists: ["file:deny.json"] } };
  const ca = await startCaInProcess(config, {
    clock: () => state.now,
    open: (location) => ({
      read() {
        if (location === "file:deny.json") return state.denyList;
        state.reads++;
        return state.document;
      },
    }),
  });
  const fetch = await holdToDocument(ca);
  const headers = { "content-type": "application/json", [nodeTokenHeader]: await issuer.token(agent) };
  const post = async (path: string, token: string | undefined, body: object) =>
    fetch(path, {
      method: "POST",
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
  /** The serial number that a request gets, or the status that refuses it. */
  const ask = async (token: string) => {
    const response = await post("/v1/certificates", token, { csr });
    return response.status === 201 ? ((await response.json()) as Certificate).serialNumber : response.status;
  };
  const askBatch = async (tokens: readonly string[]) => {
    const requests = tokens.map((token) => ({ token, csr }));
    const answer = await (await post("/v1/certificates/batch", undefined, { requests })).json();
    return (answer as { results: { status: number; certificate?: Certificate }[] }).results.map(
      ({ status, certificate }) => certificate?.serialNumber ?? status,
    );
  };
  const events = (event: string) =>
    ca
      .tail()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter((line) => line.event === event);
  return { ca, state, ask, askBatch, events };
}

describe("a request that comes again", () => {
  test("costs no second signature, and is told of as what it is", async () => {
    const { ask, events } = await startCa();
    const token = await issuer.token(pod);
    const serial = await ask(token);
    expect(await ask(token)).toBe(serial);
    expect(events("signing")).toHaveLength(1);
    expect(events("signed")).toHaveLength(1);
    const [repeated, ...more] = events("repeated");
    expect(more).toEqual([]);
    const { requestId, ...told } = repeated;
    expect(requestId).not.toBe(events("signed")[0].requestId);
    expect(told).toMatchObject({
      serialNumber: serial,
      podUid: pod.pod.uid,
      spiffeId: expect.stringContaining("/sleep"),
    });
  });

  test("in one batch, or in the next, is one signature too", async () => {
    const { askBatch, ask, events } = await startCa();
    const [token, other] = [await issuer.token(pod), await issuer.token(pod)];
    const [first, again, another] = await askBatch([token, token, other]);
    expect(again).toBe(first);
    expect(another).not.toBe(first);
    expect(await ask(other)).toBe(another);
    expect(events("signed")).toHaveLength(2);
    expect(events("repeated")).toHaveLength(2);
  });

  test("is refused once its token has expired", async () => {
    const { ask, state } = await startCa();
    const token = await issuer.token(pod, { lifetime: 30 });
    expect(await ask(token)).toMatch(/^[0-9a-f]+$/);
    state.now += 31;
    expect(await ask(token)).toBe(401);
  });

  test("is refused once a deny list names its pod", async () => {
    const { ask, state } = await startCa();
    const token = await issuer.token(pod);
    expect(await ask(token)).toMatch(/^[0-9a-f]+$/);
    state.denyList = JSON.stringify({ podUids: [pod.pod.uid] });
    state.now += 31;
    expect(await ask(token)).toBe(403);
  });

  test.each([
    { change: "its authority is tainted and another signs", document: () => documentOf(2, "tainted", "active") },
    { change: "another authority is only prepared", document: () => documentOf(2, "active", "prepared") },
  ])("is signed anew once $change", async ({ document }) => {
    const { ask, state } = await startCa();
    const token = await issuer.token(pod);
    const serial = await ask(token);
    state.document = document();
    state.now += 31;
    const next = await ask(token);
    expect(next).toMatch(/^[0-9a-f]+$/);
    expect(next).not.toBe(serial);
  });

  test("gets nothing once no authority is active", async () => {
    const { ask, state } = await startCa();
    const token = await issuer.token(pod);
    expect(await ask(token)).toMatch(/^[0-9a-f]+$/);
    state.document = documentOf(2, "tainted");
    state.now += 31;
    expect(await ask(token)).toBe(503);
  });

  test("of a pod that has another's CSR is another request", async () => {
    const { ask } = await startCa();
    const mallory = makePod("foo", "mallory", node);
    const serial = await ask(await issuer.token(pod));
    expect(await ask(await issuer.token(mallory))).not.toBe(serial);
  });
});

test("a batch reads the authorities once, however many its items, when there are none yet and when they are due", async () => {
  const { askBatch, state } = await startCa();
  const tokens = await Promise.all(Array.from({ length: 8 }, () => issuer.token(pod)));
  expect(new Set(await askBatch(tokens)).size).toBe(8);
  expect(state.reads).toBe(1);
  state.now += 31;
  state.document = documentOf(2, "tainted", "active");
  await askBatch(tokens);
  expect(state.reads).toBe(2);
});
