import type { ServiceAccountClaims } from "@signet/shared/service-account";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { describe, expect, test } from "vitest";
import type { Caller } from "../types.ts";
import { deniedBy, parseDenyList } from "./deny-list.ts";

const id = SpiffeId.parse("spiffe://cluster.local/ns/foo/sa/sleep");
const workload = { tokenId: "workload-token", podUid: "workload-pod", nodeUid: "node" } as ServiceAccountClaims;
const agent = { tokenId: "agent-token", podUid: "agent-pod", nodeUid: "node" } as ServiceAccountClaims;
const caller = { workload, agent } as Caller;
const parse = (value: object) => parseDenyList(JSON.stringify(value));

describe("a deny list", () => {
  test.each([
    { list: { spiffeIds: [id.toString()] }, member: "spiffeIds" },
    // SPIFFE-ID §2.1: scheme and trust domain are the same in any case.
    { list: { spiffeIds: ["SPIFFE://Cluster.Local/ns/foo/sa/sleep"] }, member: "spiffeIds" },
    { list: { tokenIds: ["other", "workload-token"] }, member: "tokenIds" },
    { list: { tokenIds: ["agent-token"] }, member: "tokenIds" },
    { list: { podUids: ["workload-pod"] }, member: "podUids" },
    { list: { podUids: ["agent-pod"] }, member: "podUids" },
    { list: { nodeUids: ["node"] }, member: "nodeUids" },
  ])("denies by $list", ({ list, member }) => {
    expect(deniedBy(parse(list), id, caller)).toBe(member);
  });

  test("denies nobody else", () => {
    const list = {
      spiffeIds: ["spiffe://cluster.local/ns/foo/sa/Sleep", "spiffe://cluster.local/ns/foo/sa/sleep2"],
      tokenIds: ["workload-pod", "Workload-Token"],
      podUids: ["workload-token", "workload"],
      nodeUids: ["workload-pod", "agent-pod"],
    };
    expect(deniedBy(parse(list), id, caller)).toBeUndefined();
    expect(deniedBy(parse({}), id, caller)).toBeUndefined();
  });

  test("denies none by what a token does not say", () => {
    const bare = { podUid: "p" } as ServiceAccountClaims;
    const list = parse({ tokenIds: ["undefined"], nodeUids: ["undefined"] });
    expect(deniedBy(list, id, { workload: bare, agent: undefined } as Caller)).toBeUndefined();
  });

  test.each([
    { rule: "what is no JSON", text: "{", fault: "JSON" },
    { rule: "an empty text", text: "", fault: "JSON" },
    { rule: "no object", text: "[]", fault: "Object" },
    { rule: "a member that nobody knows", text: '{"podUid": []}', fault: "podUid: unknown key" },
    { rule: "a member twice", text: '{"podUids": ["a"], "podUids": []}', fault: "twice" },
    { rule: "a member that is no list", text: '{"podUids": "a"}', fault: "podUids" },
    { rule: "an entry that is no text", text: '{"podUids": ["a", 1]}', fault: "podUids.1" },
    { rule: "an empty entry", text: '{"tokenIds": [""]}', fault: "tokenIds.0" },
    { rule: "an entry with a space at its end", text: '{"nodeUids": ["a "]}', fault: "nodeUids.0" },
    { rule: "an ID that is none", text: '{"spiffeIds": ["cluster.local/ns/foo"]}', fault: "spiffeIds.0" },
    { rule: "an ID that ends with a slash", text: '{"spiffeIds": ["spiffe://a/ns/foo/"]}', fault: "spiffeIds.0" },
    { rule: "a trust domain, which no account is", text: '{"spiffeIds": ["spiffe://a"]}', fault: "spiffeIds.0: " },
  ])("is not used with $rule", ({ text, fault }) => {
    expect(() => parseDenyList(text)).toThrow(
      expect.objectContaining({ code: "source-unavailable", message: expect.stringContaining(fault) }),
    );
  });

  test("tells its first faults, not all of ten thousand", () => {
    let message = "";
    try {
      parse({ podUids: Array.from({ length: 10_000 }, () => "") });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/podUids\.4: .*; and 9995 more$/);
  });
});
