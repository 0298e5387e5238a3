import "reflect-metadata";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { runDoctor } from "@signet/node-agent/doctor/command";
import { encodePem } from "@signet/shared/pem";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { testIo } from "./command-io.ts";
import { type Answer, examine, mendOf, problem, type StoodUp, Surroundings } from "./doctor-world.ts";
import { makePod } from "./world.ts";

let here: Surroundings;
let ca: StoodUp;
let token: string;

beforeEach(async () => {
  here = new Surroundings();
  ca = await here.ca();
  const issuer = await ScriptedCa.start();
  token = issuer.token(makePod("signet-node-agent", "signet-system"));
  await issuer.stop();
  writeFileSync(here.at("node-token"), token, { mode: 0o600 });
});
afterEach(() => here.end());

async function look(flags: Record<string, string> = {}, options: Parameters<typeof examine>[1] = {}) {
  const examined = await examine(
    {
      flags: {
        caUrl: ca.url,
        trustDomain: "cluster.local",
        socket: here.at("s"),
        nodeToken: here.at("node-token"),
        admin: "off",
        ...flags,
      },
    },
    options,
  );
  return { ...examined, ca: examined.sections.CA ?? [] };
}

test("a CA that is well has no fault, and is asked for nothing", async () => {
  const { ca: seen, code } = await look();
  expect(seen.map((line) => line.replace(/\d+ ms/, "N ms").replace(/port \d+/, "port P"))).toEqual([
    "ok port P takes connections (N ms)",
    "ok /healthz answers 200",
    "ok /readyz answers 200, in N ms",
    "ok this machine's clock agrees with the CA's",
    "ok trust domain cluster.local, bundle sequence 3",
    "ok root CN=root ends in 29d 23h",
    "ok it accepts the node token",
  ]);
  expect(code).toBe(0);
  expect(ca.batches).toEqual([token, undefined].map((one) => ({ token: one, body: '{"requests":[]}' })));
});

test("a CA that hangs is asked once, and waited for once", async () => {
  ca.answers["/healthz"] = "hang";
  const examined = await look();
  expect(examined.ca.at(-1)).toBe("fail the CA did not answer within 5 s");
  expect(ca.asked).toEqual(["/healthz"]);
});

test("of several URLs each has its own section", async () => {
  const second = await here.ca();
  const { findings } = await look({ caUrl: `${ca.url},${second.url}` });
  expect(findings.filter(({ seen }) => seen === "/healthz answers 200")).toHaveLength(2);
});

const batch = "/v1/certificates/batch";
test.each<[string, Record<string, Answer | "hang" | "cut">, string, string]>([
  ["no CA at all", { "/healthz": { status: 404 } }, "fail /healthz answers 404", "is this the CA's URL"],
  ["a CA that hangs up", { "/healthz": "cut" }, "fail the CA cannot be reached: socket hang up", "see the CA's log"],
  [
    "a CA that cannot sign",
    { "/readyz": { status: 503, body: { reason: "no authority is active" } } },
    "fail /readyz answers 503: no authority is active",
    "signet-ca authority status",
  ],
  ["a readiness that is cut", { "/readyz": "cut" }, "fail the CA cannot be reached", "see the CA's log"],
  ["no bundle", { "/v1/trust-bundle": { status: 500 } }, "fail /v1/trust-bundle answers 500", "is this the CA's URL"],
  ["a bundle that is cut", { "/v1/trust-bundle": "cut" }, "fail /v1/trust-bundle: the CA cannot", "see the CA's log"],
  [
    "a page for a bundle",
    { "/v1/trust-bundle": { body: "<html>" } },
    "fail /v1/trust-bundle is no trust bundle",
    "is this",
  ],
  [
    "another trust domain",
    bundle({ trustDomain: "elsewhere" }),
    "fail the CA's trust domain is elsewhere",
    "--trust-domain elsewhere",
  ],
  ["an empty bundle", bundle({ roots: [] }), "fail the bundle is empty", "signet-ca authority status"],
  ["a root that is none", bundle({ roots: ["nonsense"] }), "fail root 1 cannot be read: not PEM", "authorities"],
  [
    "a token that is not accepted",
    { [batch]: problem(401, "token-not-accepted") },
    "fail it does not accept the node token",
    "issuers[].audiences",
  ],
  [
    "an agent that is not on the list",
    { [batch]: problem(403, "node-not-entitled") },
    "fail it knows the node token",
    "nodeBinding",
  ],
  ["a CA without batches", { [batch]: { status: 404 } }, "warn it has no route for batches", "upgrade the CA"],
  [
    "an issuer without keys",
    { [batch]: problem(503, "issuer-unavailable") },
    "fail it cannot say now whether it accepts the node token: it answers 503 issuer-unavailable",
    "ask again",
  ],
  ["a batch that is cut", { [batch]: "cut" }, "fail the CA cannot be reached", "see the CA's log"],
  [
    "a strange answer to it",
    { [batch]: { status: 418 } },
    "fail an empty batch is answered with 418",
    "is this the CA's URL",
  ],
])("%s", async (_what, answers, seen, mend) => {
  Object.assign(ca.answers, answers);
  const examined = await look();
  expect(
    examined.ca.some((line) => line.startsWith(seen)),
    examined.ca.join("\n"),
  ).toBe(true);
  expect(mendOf(examined, seen.replace(/^\w+ /, ""))).toContain(mend);
  expect(examined.code).toBe(seen.startsWith("warn") ? 1 : 2);
});

describe("roots", () => {
  test.each([
    [31 * 86_400, "fail root CN=root ended 1d ago"],
    [25 * 86_400, "warn root CN=root ends in 4d 23h"],
    [-2 * 86_400, "fail root CN=root is valid only in 1d 22h"],
  ])("looked at %d seconds from now", async (away, seen) => {
    // The clock of the CA goes along, so that only the root is out of time.
    Object.assign(ca.answers, { "/readyz": { headers: { date: new Date(Date.now() + away * 1_000).toUTCString() } } });
    const { ca: lines } = await look({}, { now: () => Date.now() / 1_000 + away });
    expect(lines).toContain(seen);
  });

  test("one that may sign nothing", async () => {
    const pem = selfSigned("leaf", ["-addext", "basicConstraints=critical,CA:FALSE"]).cert;
    Object.assign(ca.answers, bundle({ roots: [pem] }));
    expect((await look()).ca).toContain("fail root CN=leaf is no CA's certificate");
  });
});

describe("clocks", () => {
  test.each([
    [0, "ok this machine's clock agrees"],
    [4, "ok this machine's clock is "],
    [-30, "warn this machine's clock is "],
    [30, "warn this machine's clock is "],
    [90, "fail this machine's clock is "],
    [-90, "fail this machine's clock is "],
  ])("the CA's %d seconds ahead", async (away, seen) => {
    const date = new Date(Date.now() + away * 1_000 + (away > 0 ? 999 : 0)).toUTCString();
    ca.answers["/readyz"] = { headers: { date } };
    const examined = await look();
    expect(
      examined.ca.some((line) => line.startsWith(seen)),
      examined.ca.join("\n"),
    ).toBe(true);
    if (Math.abs(away) > 5) {
      expect(mendOf(examined, "this machine's clock is")).toContain("NTP");
      expect(examined.text).toContain(away > 0 ? "s behind the CA's" : "s ahead of the CA's");
    }
  });

  test("a CA that does not tell its time is not judged by it", async () => {
    ca.answers["/readyz"] = { headers: { date: "yesterday" } };
    expect((await look()).text).not.toContain("this machine's clock");
  });
});

describe("node binding", () => {
  const bare = () =>
    examine({ flags: { caUrl: ca.url, trustDomain: "cluster.local", socket: here.at("s"), admin: "off" } });
  const isOff =
    "warn it takes requests without a node token: node binding is off there, for an issuer at least, and a token that leaks from a pod signs from anywhere";

  test("a CA that wants a node token, and there is none", async () => {
    const examined = await bare();
    expect(examined.sections.CA).toContain("fail it wants a node token, and there is none");
    expect(examined.sections.node?.[0]).toMatch(/^warn there is none/);
    expect(ca.batches).toHaveLength(1);
  });

  test("a CA that wants none, whether there is one or not", async () => {
    ca.answers[batch] = problem(400, "malformed-request");
    expect((await bare()).sections.CA).toContain(isOff);
    const examined = await look();
    expect(examined.ca).toContain(isOff);
    expect(mendOf(examined, "it takes requests without")).toContain("nodeBinding");
    expect(examined.code).toBe(1);
  });
});

describe("the way there", () => {
  test("nobody listens", async () => {
    await ca.stop();
    const examined = await look();
    expect(examined.ca).toEqual([
      expect.stringMatching(/^fail no connection to 127\.0\.0\.1 port \d+ \(ECONNREFUSED\)$/),
    ]);
    expect(mendOf(examined, "no connection")).toContain("is the CA running");
  });

  test("a name that nobody knows", async () => {
    const examined = await look({ caUrl: "https://ca.signet.invalid" });
    expect(examined.ca[0]).toMatch(/^fail the name ca\.signet\.invalid is not known \((?:ENOTFOUND|EAI_AGAIN)\)$/);
    expect(mendOf(examined, "is not known")).toContain("DNS");
  });

  test("a proxy is named without its password, and looked for instead of the CA", async () => {
    const { text, ca: seen } = await look(
      { caUrl: "https://ca.signet.invalid" },
      { env: { HTTPS_PROXY: "http://user:secret@127.0.0.1:1" } },
    );
    expect(seen[0]).toBe("ok asked through the proxy http://127.0.0.1:1 (HTTPS_PROXY); NO_PROXY would exempt it");
    expect(seen[1]).toMatch(/^fail no connection to 127\.0\.0\.1 port 1 /);
    expect(text).not.toContain("secret");
  });

  test("a CA that says what a terminal would obey is shown without it", async () => {
    ca.answers["/readyz"] = { status: 503, body: { reason: "\u001b[2J\r\nall is well" } };
    const { io, shown } = testIo();
    const flags = { caUrl: ca.url, trustDomain: "cluster.local", socket: here.at("s"), admin: "off" };
    await runDoctor({ configFile: undefined, faults: [], token: undefined, json: false, flags }, io);
    expect(shown()).toContain("/readyz answers 503: \ufffd[2J all is well");
    expect(shown()).not.toContain("\u001b");
  });
});

function selfSigned(name: string, more: readonly string[]): { key: string; cert: string } {
  const [key, cert] = [here.at(`${name}.key`), here.at(`${name}.pem`)];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-days",
      "100",
      "-keyout",
      key,
      "-out",
      cert,
      ...more,
    ],
    { stdio: "pipe" },
  );
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}

/** A server certificate of the past, which openssl's command line does not make. */
async function expired(): Promise<{ key: string; cert: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=server",
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 7_200_000),
    notAfter: new Date(Date.now() - 3_600_000),
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { key: encodePem("PRIVATE KEY", pkcs8), cert: certificate.toString("pem") };
}

describe("TLS", () => {
  const forLoopback = ["-addext", "subjectAltName=IP:127.0.0.1"];

  test("a server that the file of --ca-cert vouches for", async () => {
    ca = await here.ca(selfSigned("server", forLoopback));
    const { ca: seen, code } = await look({ caCert: here.at("server.pem") });
    expect(seen).toContain("ok TLSv1.3, certificate CN=server, issued by CN=server: accepted");
    expect(seen).toContain("ok the server's certificate ends in 99d 23h");
    expect(code).toBe(0);
  });

  test("nobody who is trusted vouches for it", async () => {
    ca = await here.ca(selfSigned("server", forLoopback));
    selfSigned("other", forLoopback);
    const wrong = await look({ caCert: here.at("other.pem") });
    expect(wrong.ca.join()).toContain("nobody who is trusted vouches for it (DEPTH_ZERO_SELF_SIGNED_CERT)");
    expect(mendOf(wrong, "nobody who is trusted")).toContain("is the file of --ca-cert the one of this server?");
    const none = await look();
    expect(mendOf(none, "nobody who is trusted")).toContain("give that CA's PEM with --ca-cert");
    expect(ca.batches).toEqual([]);
  });

  test("it is for another name", async () => {
    ca = await here.ca(selfSigned("server", ["-addext", "subjectAltName=DNS:ca.example.com"]));
    const examined = await look({ caCert: here.at("server.pem") });
    expect(examined.ca.join()).toContain("it is not for 127.0.0.1, but for DNS:ca.example.com");
    expect(mendOf(examined, "it is not for")).toContain("--ca-url");
  });

  test("it has ended", async () => {
    const tls = await expired();
    writeFileSync(here.at("expired.pem"), tls.cert);
    ca = await here.ca(tls);
    const examined = await look({ caCert: here.at("expired.pem") });
    expect(examined.ca[1]).toContain("it is not valid now (CERT_HAS_EXPIRED)");
    expect(examined.ca).toHaveLength(2);
    expect(mendOf(examined, "it is not valid now")).toContain("renew the server's certificate");
  });

  test("it ends soon", async () => {
    ca = await here.ca(selfSigned("server", forLoopback));
    const late = { now: () => Date.now() / 1_000 + 95 * 86_400 };
    const examined = await look({ caCert: here.at("server.pem") }, late);
    expect(examined.ca).toContain("warn the server's certificate ends in 4d 23h");
  });

  test("what listens speaks no TLS", async () => {
    const server = createServer((socket) => socket.on("error", () => undefined).end("hello\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    here.onEnd(() => void server.close());
    const examined = await look({ caUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}` });
    expect(examined.ca[1]).toMatch(/^fail no TLS handshake: /);
    expect(mendOf(examined, "no TLS handshake")).toContain("TLS 1.2 or newer");
  });
});

function bundle(more: object): Record<string, Answer> {
  const usual = { trustDomain: "cluster.local", sequence: 3, refreshHintSeconds: 60, roots: ["x"] };
  return { "/v1/trust-bundle": { body: { ...usual, ...more } } };
}
