import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ScriptedCa } from "../support/scripted-ca.ts";
import { lookAround, mendOf, Surroundings } from "./doctor-world.ts";
import { makePod } from "./world.ts";

let here: Surroundings;
beforeEach(() => {
  here = new Surroundings();
});
afterEach(() => here.end());

const look = (flags: Record<string, string> = {}, more: Parameters<typeof lookAround>[2] = {}) =>
  lookAround(here, flags, more);

describe("tokens", () => {
  let ca: ScriptedCa;
  beforeEach(async () => {
    ca = await ScriptedCa.start();
    here.onEnd(() => ca.stop());
  });
  const agentPod = makePod("signet-node-agent", "signet-system");
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(here.at(name), `${text}\n`);
    chmodSync(here.at(name), mode);
    return here.at(name);
  };
  const lookAt = async (claims: object, now?: () => number, lifetime = 3_600) => {
    const nodeToken = write("node-token", ca.token(agentPod, { claims, lifetime }));
    const examined = await look({ nodeToken }, now === undefined ? {} : { now });
    return { ...examined, token: examined.sections.node ?? [] };
  };

  test("one that is as it should be", async () => {
    const { token } = await lookAt({});
    expect(token).toEqual([
      `ok ${here.at("node-token")} is readable, mode 0600`,
      `ok it is of signet-system/signet-node-agent, pod ${agentPod.podName}, issuer https://issuer.test`,
      "ok audience signet-ca; one of the CA's issuers[].audiences must be the same",
      "ok node node, uid node-uid",
      expect.stringMatching(/^ok it ends in 59m \d+s \(1h long\)$/),
    ]);
  });

  test("no file, no token in it, no token of a pod", async () => {
    const missing = await look({ nodeToken: here.at("missing") });
    expect(missing.sections.node).toEqual([`fail --node-token: ${here.at("missing")} cannot be read (ENOENT)`]);
    expect(mendOf(missing, "cannot be read")).toContain("serviceAccountToken");
    const other = await look({ nodeToken: write("node-token", "secret-password") });
    expect(other.sections.node?.[0]).toMatch(/^fail --node-token: .* holds no token/);
    expect(other.text).not.toContain("secret-password");
    const strange = await lookAt({ "kubernetes.io": undefined });
    expect(strange.token[1]).toMatch(/^fail it is no token of a pod's service account: token: claim kubernetes\.io/);
    const pod = await look({}, { token: here.at("missing") });
    expect(mendOf(pod, "--token: ")).toContain("kubectl create token");
  });

  test.each<[string, object, string, string]>([
    [
      "the API server's audience",
      { aud: ["https://kubernetes.default.svc"] },
      "warn audience https://kubernetes.default.svc",
      "for the CA alone",
    ],
    [
      "the issuer as audience",
      { aud: ["https://issuer.test", "signet-ca"] },
      "warn audience https://issuer.test, signet-ca",
      "audience signet-ca",
    ],
    ["a future token", { nbf: Math.floor(Date.now() / 1_000) + 120 }, "fail it is valid only in 1m", "timedatectl"],
  ])("%s", async (_what, claims, seen, mend) => {
    const examined = await lookAt(claims);
    expect(
      examined.token.some((line) => line.startsWith(seen)),
      examined.token.join("\n"),
    ).toBe(true);
    expect(mendOf(examined, seen.replace(/^\w+ /, ""))).toContain(mend);
  });

  test("no node in it", async () => {
    const { namespace, podName, podUid, serviceAccount } = agentPod;
    const claims = {
      namespace,
      serviceaccount: { name: serviceAccount, uid: "u" },
      pod: { name: podName, uid: podUid },
    };
    const examined = await lookAt({ "kubernetes.io": claims });
    expect(examined.token).toContain("fail it names no node: a CA with node binding refuses it");
    expect(mendOf(examined, "it names no node")).toContain("Kubernetes 1.30");
  });

  test("time", async () => {
    const later = (seconds: number) => () => Date.now() / 1_000 + seconds;
    const late = await lookAt({}, later(3_000));
    expect(late.token.at(-1)).toMatch(/^warn it ends in 9m \d+s \(1h long\) and should have been renewed by now$/);
    expect(mendOf(late, "should have been renewed")).toContain("kubelet");
    const over = await lookAt({}, later(3_700));
    expect(over.token.at(-1)).toMatch(/^fail it expired 1m 4\ds ago \(1h long\)$/);
    expect(mendOf(over, "it expired")).toContain("kubelet renews");
  });

  test("permissions", async () => {
    const token = ca.token(agentPod);
    const replaceable = await look({ nodeToken: write("a", token, 0o622) });
    expect(replaceable.sections.node?.[0]).toBe(`fail ${here.at("a")} is readable, mode 0622: others may replace it`);
    const readable = await look({ nodeToken: write("b", token, 0o644) });
    expect(readable.sections.node?.[0]).toBe(
      `warn ${here.at("b")} is readable, mode 0644: everybody on this machine may read it`,
    );
    // The kubelet's projections: a link into a directory that it replaces as a whole.
    mkdirSync(here.at("projected/..1"), { recursive: true });
    write("projected/..1/token", token, 0o644);
    symlinkSync("..1", here.at("projected/..data"));
    symlinkSync("..data/token", here.at("projected/token"));
    const kubelets = await look({ nodeToken: here.at("projected/token") });
    expect(kubelets.sections.node?.[0]).toBe(
      `ok ${here.at("projected/token")} is readable, mode 0644, projected by the kubelet`,
    );
  });

  test("a pod's token, of this node or of another", async () => {
    const nodeToken = write("node-token", ca.token(agentPod));
    const same = await look({ nodeToken }, { token: write("pod", ca.token(makePod())) });
    expect(same.sections.pod?.at(-1)).toBe("ok it is of the same node as the agent's token");
    const other = await look({ nodeToken }, { token: write("pod", ca.token({ ...makePod(), nodeUid: "elsewhere" })) });
    expect(other.sections.pod?.at(-1)).toBe("fail it is of the node node, the agent's token of node");
    expect(mendOf(other, "it is of the node")).toContain("worth nothing elsewhere");
    for (const { text } of [same, other]) expect(text).not.toContain("eyJ");
  });
});
