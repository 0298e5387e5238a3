import { describe, expect, test } from "vitest";
import { SpiffeId, TrustDomain } from "./spiffe-id.ts";

const malformed = expect.objectContaining({ name: "SignetError", code: "malformed-spiffe-id" });
const td = "a".repeat(255);
/** An ID of exactly so many bytes. */
const ofLength = (length: number) => `spiffe://td/${"x".repeat(length - "spiffe://td/".length)}`;

describe("SPIFFE ID", () => {
  test.each([
    {
      rule: "a workload's ID",
      text: "spiffe://cluster.local/ns/foo/sa/sleep",
      name: "cluster.local",
      path: "/ns/foo/sa/sleep",
    },
    { rule: "a trust domain's own ID", text: "spiffe://cluster.local", name: "cluster.local", path: "" },
    {
      rule: "I2: a trust domain that looks like an IPv4 address",
      text: "spiffe://10.0.0.1/a",
      name: "10.0.0.1",
      path: "/a",
    },
    { rule: "I2: a trust domain that is no DNS name", text: "spiffe://-a_.-/a", name: "-a_.-", path: "/a" },
    { rule: "I2: a trust domain of 255 bytes", text: `spiffe://${td}/a`, name: td, path: "/a" },
    { rule: "I3: the case of the path is kept", text: "spiffe://td/A/a", name: "td", path: "/A/a" },
    { rule: "I3: the case of scheme and trust domain does not count", text: "SPIFFE://TD/a", name: "td", path: "/a" },
    {
      rule: "I3: segments that only begin with a dot",
      text: "spiffe://td/.../..a/.a",
      name: "td",
      path: "/.../..a/.a",
    },
    { rule: "I4: an ID of 2048 bytes", text: ofLength(2_048), name: "td", path: ofLength(2_048).slice(11) },
  ])("read $rule", ({ text, name, path }) => {
    const id = SpiffeId.parse(text);
    expect({ name: id.trustDomain.name, path: id.path }).toEqual({ name, path });
    expect(id.toString()).toBe(`spiffe://${name}${path}`);
    expect(SpiffeId.parse(id.toString()).equals(id)).toBe(true);
  });

  test.each([
    { rule: "nothing", text: "" },
    { rule: "I1: another scheme", text: "https://td/a" },
    { rule: "I1: no scheme", text: "td/a" },
    { rule: "I1: one slash", text: "spiffe:/td/a" },
    { rule: "I1: no slash", text: "spiffe:td/a" },
    { rule: "I1: a query", text: "spiffe://td/a?b" },
    { rule: "I1: an empty query", text: "spiffe://td/a?" },
    { rule: "I1: a query at the trust domain", text: "spiffe://td?b" },
    { rule: "I1: a fragment", text: "spiffe://td/a#b" },
    { rule: "I1: an empty fragment", text: "spiffe://td#" },
    { rule: "I1: an empty trust domain", text: "spiffe:///a" },
    { rule: "I1: no trust domain", text: "spiffe://" },
    { rule: "I1: a user", text: "spiffe://user@td/a" },
    { rule: "I1: an empty user", text: "spiffe://@td/a" },
    { rule: "I1: a port", text: "spiffe://td:80/a" },
    { rule: "I1: an empty port", text: "spiffe://td:/a" },
    { rule: "I2: percent-encoding in the trust domain", text: "spiffe://t%64/a" },
    { rule: "I2: an IPv6 address", text: "spiffe://[::1]/a" },
    { rule: "I2: a trust domain of 256 bytes", text: `spiffe://${td}a/a` },
    { rule: "I2: a letter that only its lower case makes ASCII", text: "spiffe://\u212a/a" },
    { rule: "I3: percent-encoding in the path", text: "spiffe://td/%61" },
    { rule: "I3: a slash at the end", text: "spiffe://td/a/" },
    { rule: "I3: a path that is only a slash", text: "spiffe://td/" },
    { rule: "I3: an empty segment", text: "spiffe://td/a//b" },
    { rule: "I3: an empty first segment", text: "spiffe://td//a" },
    { rule: "I3: a dot segment", text: "spiffe://td/a/./b" },
    { rule: "I3: a double dot segment", text: "spiffe://td/a/../b" },
    { rule: "I3: a double dot segment at the end", text: "spiffe://td/a/.." },
    { rule: "I4: an ID of 2049 bytes", text: ofLength(2_049) },
    { rule: "white space before it", text: " spiffe://td/a" },
    { rule: "a newline at the end", text: "spiffe://td/a\n" },
    { rule: "a NUL at the end", text: "spiffe://td/a\0" },
  ])("refuse $rule", ({ text }) => {
    expect(() => SpiffeId.parse(text)).toThrow(malformed);
  });

  const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
  const accepted = (read: (character: string) => unknown) =>
    bytes.filter((character) => {
      try {
        read(character);
        return true;
      } catch (error) {
        expect(error).toEqual(malformed);
        return false;
      }
    });
  const digits = "0123456789";
  const lower = "abcdefghijklmnopqrstuvwxyz";
  const sorted = (characters: string) => [...characters].sort().join("");

  test("I2: of all 256 bytes a trust domain may have a-z, 0-9, dot, dash and underscore", () => {
    expect(sorted(accepted((c) => TrustDomain.parse(`a${c}b`)).join(""))).toBe(sorted(`${digits}${lower}.-_`));
  });

  test("I2: in a whole ID also A-Z, in lower case, and the slash that ends the trust domain", () => {
    expect(sorted(accepted((c) => SpiffeId.parse(`spiffe://a${c}b/p`)).join(""))).toBe(
      sorted(`${digits}${lower}${lower.toUpperCase()}.-_/`),
    );
  });

  test("I3: of all 256 bytes a path segment may have a-z, A-Z, 0-9, dot, dash and underscore", () => {
    const allowed = `${digits}${lower}${lower.toUpperCase()}.-_`;
    const domain = TrustDomain.parse("td");
    expect(sorted(accepted((c) => SpiffeId.fromSegments(domain, [`a${c}b`])).join(""))).toBe(sorted(allowed));
    expect(sorted(accepted((c) => SpiffeId.parse(`spiffe://td/a${c}b`)).join(""))).toBe(sorted(`${allowed}/`));
  });

  test("a trust domain's name is taken as it is: upper case is refused, not changed", () => {
    expect(() => TrustDomain.parse("Td")).toThrow(malformed);
    expect(() => TrustDomain.parse("")).toThrow(malformed);
    expect(TrustDomain.parse("td").id).toBe("spiffe://td");
    expect(`${TrustDomain.parse("td")}`).toBe("td");
  });

  test("I4: segments that make an ID of over 2048 bytes", () => {
    const domain = TrustDomain.parse("td");
    expect(() => SpiffeId.fromSegments(domain, ["x".repeat(2_037)])).toThrow(malformed);
    expect(SpiffeId.fromSegments(domain, ["x".repeat(2_036)]).toString()).toHaveLength(2_048);
  });

  test("two IDs are equal when trust domain and path are", () => {
    const id = SpiffeId.parse("spiffe://td/a");
    expect(id.equals(SpiffeId.parse("spiffe://TD/a"))).toBe(true);
    expect(id.equals(SpiffeId.parse("spiffe://td/A"))).toBe(false);
    expect(id.equals(SpiffeId.parse("spiffe://tda"))).toBe(false);
    expect(id.equals(SpiffeId.parse("spiffe://td2/a"))).toBe(false);
  });
});
