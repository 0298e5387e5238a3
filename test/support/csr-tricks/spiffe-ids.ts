import { uriName } from "../csr.ts";
import { csr, naming, type Trick } from "./build.ts";

const of = (rule: string, uri: string, code: Trick["code"] = "csr-not-allowed"): Trick => ({
  rule: `${rule} as its SPIFFE ID`,
  code,
  pem: () => csr({ attributes: naming(uriName(uri)) }),
});
const own = "cluster.local/ns/foo/sa/sleep";

/** IDs that break the rules I1 to I4 of SPIFFE-ID §2, and good ones that are of somebody else. */
export const spiffeIdTricks: readonly Trick[] = [
  of("I1: another scheme", `https://${own}`),
  of("I1: no scheme", `//${own}`),
  of("I1: one slash", `spiffe:/${own}`),
  of("I1: a query", `spiffe://${own}?a=b`),
  of("I1: an empty query", `spiffe://${own}?`),
  of("I1: a fragment", `spiffe://${own}#a`),
  of("I1: an empty fragment", `spiffe://${own}#`),
  of("I1: no trust domain", "spiffe:///ns/foo/sa/sleep"),
  of("I1: a user", `spiffe://user@${own}`),
  of("I1: an empty user", `spiffe://@${own}`),
  of("I1: a port", "spiffe://cluster.local:443/ns/foo/sa/sleep"),
  of("I1: an empty port", "spiffe://cluster.local:/ns/foo/sa/sleep"),
  of("I2: percent-encoding in the trust domain", "spiffe://cluster%2elocal/ns/foo/sa/sleep"),
  of("I2: an IPv6 address", "spiffe://[::1]/ns/foo/sa/sleep"),
  of("I2: a trust domain of 256 bytes", `spiffe://${"a".repeat(256)}/ns/foo/sa/sleep`),
  of("I2: an asterisk", "spiffe://*/ns/foo/sa/sleep"),
  of("I3: a slash at the end", `spiffe://${own}/`),
  of("I3: an empty segment", "spiffe://cluster.local//ns/foo/sa/sleep"),
  of("I3: a dot segment", "spiffe://cluster.local/./ns/foo/sa/sleep"),
  of("I3: a double dot segment", "spiffe://cluster.local/ns/bar/../foo/sa/sleep"),
  of("I3: percent-encoding in the path", "spiffe://cluster.local/ns/foo/sa/%73leep"),
  of("I3: a backslash", "spiffe://cluster.local\\ns\\foo\\sa\\sleep"),
  of("I3: white space at the end", `spiffe://${own} `),
  of("I3: a line end", `spiffe://${own}\n`),
  of("I4: an ID of 2049 bytes", `spiffe://cluster.local/${"x".repeat(2_049 - 23)}`),
  of("the trust domain's own ID", "spiffe://cluster.local", "identity-not-entitled"),
  of("another account", "spiffe://cluster.local/ns/foo/sa/admin", "identity-not-entitled"),
  of("another namespace", "spiffe://cluster.local/ns/kube-system/sa/sleep", "identity-not-entitled"),
  of("another trust domain", "spiffe://cluster.example/ns/foo/sa/sleep", "identity-not-entitled"),
  of("a longer path", `spiffe://${own}/admin`, "identity-not-entitled"),
  of("another case of the path", "spiffe://cluster.local/ns/foo/sa/Sleep", "identity-not-entitled"),
  of("another case of scheme and trust domain", "SPIFFE://Cluster.Local/ns/foo/sa/sleep", "identity-not-entitled"),
];
