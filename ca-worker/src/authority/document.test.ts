import { SignetError } from "@signet/shared/errors";
import { describe, expect, test } from "vitest";
import { parseAuthorityDocument } from "./document.ts";

const invalid = expect.objectContaining({ name: "SignetError", code: "authority-invalid" });
const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
const entry = { id: "issuing-1", state: "active", chain: ["issuing", "root"], key: { kind: "plain", pkcs8: secret } };
const document = { version: 1, sequence: 1, authorities: [entry] };
const withEntry = (changes: object) => ({ ...document, authorities: [{ ...entry, ...changes }] });

describe("authority document", () => {
  test.each([
    { rule: "one active authority", value: document },
    { rule: "no authority", value: { ...document, authorities: [] } },
    {
      rule: "one of each state",
      value: {
        ...document,
        authorities: ["prepared", "active", "retiring", "tainted"].map((state) => ({ ...entry, id: state, state })),
      },
    },
    { rule: "a chain of three", value: withEntry({ chain: ["a", "b", "c"] }) },
    { rule: "the largest sequence", value: { ...document, sequence: Number.MAX_SAFE_INTEGER } },
  ])("take $rule", ({ value }) => {
    expect(parseAuthorityDocument(JSON.stringify(value))).toEqual(value);
  });

  test.each([
    { rule: "another version", value: { ...document, version: 2 } },
    { rule: "no version", value: { ...document, version: undefined } },
    { rule: "sequence 0", value: { ...document, sequence: 0 } },
    { rule: "a sequence with a fraction", value: { ...document, sequence: 1.5 } },
    { rule: "a sequence over 2^53", value: { ...document, sequence: 2 ** 53 } },
    { rule: "a sequence that is a string", value: { ...document, sequence: "1" } },
    { rule: "an unknown key", value: { ...document, more: 1 } },
    { rule: "an unknown key of an authority", value: withEntry({ rootKey: "x" }) },
    { rule: "an unknown state", value: withEntry({ state: "revoked" }) },
    { rule: "an id in upper case", value: withEntry({ id: "A" }) },
    { rule: "an id of 64", value: withEntry({ id: "a".repeat(64) }) },
    { rule: "an id twice", value: { ...document, authorities: [entry, { ...entry, state: "retiring" }] } },
    { rule: "two active authorities", value: { ...document, authorities: [entry, { ...entry, id: "b" }] } },
    { rule: "a chain without its root", value: withEntry({ chain: ["issuing"] }) },
    { rule: "no chain", value: withEntry({ chain: undefined }) },
    { rule: "no key", value: withEntry({ key: undefined }) },
    { rule: "a key of an unknown kind", value: withEntry({ key: { kind: "sealed", pkcs8: secret } }) },
    { rule: "a key that is not base64", value: withEntry({ key: { kind: "plain", pkcs8: "!" } }) },
    { rule: "a list", value: [] },
  ])("refuse $rule, and never quote the key", ({ value }) => {
    const text = JSON.stringify(value);
    expect(() => parseAuthorityDocument(text)).toThrow(invalid);
    expect(messageOf(text)).not.toContain(secret.slice(0, 8));
  });

  test.each([
    { rule: "nothing", text: "" },
    { rule: "a document that was cut off", text: JSON.stringify(document).slice(0, -3) },
    { rule: "the key alone", text: secret },
    {
      rule: "a key where another type is expected",
      text: JSON.stringify({ ...document, sequence: secret, version: secret }),
    },
    { rule: "a key in place of a state", text: JSON.stringify(withEntry({ state: secret, id: secret })) },
    {
      rule: "a key that is not base64",
      text: JSON.stringify(withEntry({ key: { kind: "plain", pkcs8: `${secret}!` } })),
    },
    { rule: "a key in place of its kind", text: JSON.stringify(withEntry({ key: { kind: secret } })) },
    { rule: "a key in place of the whole entry", text: JSON.stringify({ ...document, authorities: [secret] }) },
    { rule: "a key in place of its object", text: JSON.stringify(withEntry({ key: secret })) },
  ])("refuse $rule without quoting it", ({ text }) => {
    expect(() => parseAuthorityDocument(text)).toThrow(invalid);
    expect(messageOf(text)).not.toContain(secret.slice(0, 8));
  });
});

/** The message of what is thrown and of all its causes. */
function messageOf(text: string): string {
  try {
    parseAuthorityDocument(text);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(SignetError);
    let all = "";
    for (let at: unknown = error; at instanceof Error; at = at.cause) all += `${at.message}\n`;
    return all;
  }
}
