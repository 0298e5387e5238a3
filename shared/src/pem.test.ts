import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { decodePem, decodeSinglePem, encodePem } from "./pem.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-pem" });
const block = (label: string, lines: string) => `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
const good = block("CERTIFICATE", "AQID");
const contents = Uint8Array.of(1, 2, 3);

describe("PEM", () => {
  test.each([
    { rule: "one block", text: good },
    { rule: "no newline at the end", text: good.trimEnd() },
    { rule: "lines of Windows", text: good.replaceAll("\n", "\r\n") },
    { rule: "white space around lines", text: good.replaceAll(/^/gm, "  ").replaceAll("\n", " \t\n") },
    { rule: "empty lines", text: `\n\n${good.replace("\n", "\n\n")}\n` },
    { rule: "short lines", text: block("CERTIFICATE", "A\nQ\nI\nD") },
  ])("read $rule", ({ text }) => {
    expect(decodePem(text)).toEqual([{ label: "CERTIFICATE", der: contents }]);
  });

  test("several blocks stay in their order", () => {
    const text = block("CERTIFICATE", "AQID") + block("PUBLIC KEY", "BA==");
    expect(decodePem(text)).toEqual([
      { label: "CERTIFICATE", der: contents },
      { label: "PUBLIC KEY", der: Uint8Array.of(4) },
    ]);
  });

  test.each([
    { rule: "nothing", text: "" },
    { rule: "white space only", text: " \n\t\n" },
    { rule: "text before a block", text: `subject=CN=a\n${good}` },
    { rule: "text after a block", text: `${good}more` },
    { rule: "text between blocks", text: `${good}and\n${good}` },
    { rule: "base64 without a block", text: "AQID" },
    { rule: "a block that does not end", text: good.slice(0, good.indexOf("-----END")) },
    { rule: "a block that does not begin", text: good.slice(good.indexOf("AQID")) },
    { rule: "a block inside a block", text: `-----BEGIN A-----\n${good}-----END A-----` },
    { rule: "two beginnings", text: `-----BEGIN CERTIFICATE-----\n${good}` },
    { rule: "two ends", text: `${good}-----END CERTIFICATE-----` },
    { rule: "labels that differ", text: good.replace("END CERTIFICATE", "END PUBLIC KEY") },
    { rule: "a lower-case label", text: block("certificate", "AQID") },
    { rule: "an empty label", text: "-----BEGIN -----\nAQID\n-----END -----" },
    { rule: "a very long label", text: block("A".repeat(41), "AQID") },
    { rule: "four dashes", text: good.replaceAll("-----", "----") },
    { rule: "six dashes", text: good.replaceAll("-----", "------") },
    { rule: "an empty block", text: "-----BEGIN A-----\n-----END A-----" },
    { rule: "a header of RFC 1421", text: block("A", "Proc-Type: 4,ENCRYPTED\n\nAQID") },
    { rule: "a comment of RFC 4716", text: block("A", "Comment: mine\nAQID") },
    { rule: "a checksum of RFC 4880", text: block("A", "AQID\n=twTO") },
    { rule: "base64 without its padding", text: block("A", "AQIDBA") },
    { rule: "base64 with stray bits", text: block("A", "AR==") },
    { rule: "padding in the middle", text: block("A", "BA==\nAQID") },
    { rule: "white space inside of a line", text: block("A", "AQ ID") },
    { rule: "the alphabet of base64url", text: block("A", "-_-_") },
    { rule: "a boundary with text behind it", text: good.replace("-----\n", "----- AQID\n") },
    { rule: "all on one line", text: "-----BEGIN A-----AQID-----END A-----" },
    { rule: "lines of old Macs", text: good.replaceAll("\n", "\r") },
  ])("refuse $rule", ({ text }) => {
    expect(() => decodePem(text)).toThrow(malformed);
  });

  test("a single block: its label must be one that is asked for", () => {
    expect(decodeSinglePem(good, ["PUBLIC KEY", "CERTIFICATE"])).toEqual(contents);
    expect(() => decodeSinglePem(good, ["PUBLIC KEY"])).toThrow(malformed);
    expect(() => decodeSinglePem(good + good, ["CERTIFICATE"])).toThrow(malformed);
    expect(() => decodeSinglePem("", ["CERTIFICATE"])).toThrow(malformed);
  });

  test.each([1, 47, 48, 49, 96, 1_000])("%d bytes are written as openssl writes them, and read back", (length) => {
    const der = Uint8Array.from({ length }, (_, at) => at * 7);
    const base64 = execFileSync("openssl", ["base64"], { input: der, encoding: "utf8" });
    const pem = encodePem("CERTIFICATE", der);
    expect(pem).toBe(`-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`);
    expect(decodeSinglePem(pem, ["CERTIFICATE"])).toEqual(der);
  });
});
