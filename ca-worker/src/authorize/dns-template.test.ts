import { describe, expect, test } from "vitest";
import { DnsTemplate } from "./dns-template.ts";

const long = "a".repeat(63);

describe("DNS names for workloads", () => {
  test.each([
    { template: "{serviceAccount}.{namespace}.svc", namespace: "foo", account: "sleep", name: "sleep.foo.svc" },
    {
      template: "{serviceAccount}.{namespace}.svc.cluster.local",
      ...{ namespace: "foo", account: "sleep", name: "sleep.foo.svc.cluster.local" },
    },
    { template: "{namespace}.mesh.example.com", namespace: "foo", account: "a.b", name: "foo.mesh.example.com" },
    { template: "api.example.com", namespace: "foo", account: "sleep", name: "api.example.com" },
    { template: "{serviceAccount}.svc", namespace: "foo", account: long, name: `${long}.svc` },
  ])("$template for $account in $namespace is $name", ({ template, namespace, account, name }) => {
    expect(DnsTemplate.parse(template).nameOf(namespace, account)).toBe(name);
  });

  test.each([
    { why: "a dot in the account's name would make two labels of one", account: "a.b" },
    { why: "no label is that long", account: `${long}a` },
    { why: "an upper-case letter is none of Kubernetes'", account: "Sleep" },
    { why: "it is empty", account: "" },
    { why: "a wildcard is for many", account: "*" },
    { why: "an account's name never holds a placeholder", account: "{namespace}" },
  ])("none: $why", ({ account }) => {
    expect(DnsTemplate.parse("{serviceAccount}.{namespace}.svc").nameOf("foo", account)).toBeUndefined();
  });

  test("none where the whole would be too long", () => {
    const template = DnsTemplate.parse(`{serviceAccount}.{namespace}.${`${long}.`.repeat(3)}svc`);
    expect(template.nameOf("n", "a".repeat(55))).toHaveLength(253);
    expect(template.nameOf("n", "a".repeat(56))).toBeUndefined();
  });

  test.each([
    { rule: "part of a label", template: "{serviceAccount}-{namespace}.svc" },
    { rule: "the last label", template: "{serviceAccount}.{namespace}" },
    { rule: "something else", template: "{pod}.{namespace}.svc" },
  ])("refuse a placeholder for $rule", ({ template }) => {
    expect(() => DnsTemplate.parse(template)).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });

  test.each([
    "",
    "*.svc",
    "{serviceAccount}..svc",
    "Svc",
    "a.svc.",
    ".svc",
    "a b.svc",
    "10.0.0.1",
    "a_b.svc",
    "a\0.svc",
  ])("refuse %j, which is no DNS name", (template) => {
    expect(() => DnsTemplate.parse(template)).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
