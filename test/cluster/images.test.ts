/** What is in the images, seen from inside: as the node runs them, with nothing but what a pod gives them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/poll.ts";
import { repoRoot } from "../support/repo.ts";
import { readPackage } from "../tools/sbom.ts";
import { apply, kubectl, kubectlJson, requireThrowAwayCluster } from "./kubectl.ts";
import { deleteNamespaces, makeNamespaces } from "./namespaces.ts";

const namespace = "signet-images";
const { version } = readPackage(repoRoot);
const node = "/usr/local/bin/node";
let ours = false;

beforeAll(async () => {
  await requireThrowAwayCluster();
  await makeNamespaces(namespace);
  ours = true;
});
afterAll(async () => {
  if (ours) await deleteNamespaces(namespace);
});

interface Found {
  readonly uid: number;
  /** Path and mode of every file and link. */
  readonly files: Record<string, number>;
  /** Code of the error that a try to write into the image ends with. */
  readonly write: string;
  readonly texts: Record<string, string>;
}

/** Runs in the pod: a list of what there is, without what kernel and kubelet bring. */
const look = `
const { lstatSync, readFileSync, readdirSync, writeFileSync } = require("node:fs");
const files = {}, texts = {};
const walk = (folder) => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = (folder === "/" ? "" : folder) + "/" + entry.name;
    if (["/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].includes(path)) continue;
    if (entry.isDirectory()) walk(path);
    else files[path] = lstatSync(path).mode & 0o7777;
  }
};
walk("/");
for (const path of Object.keys(files)) if (/\\.json$|passwd$/.test(path)) texts[path] = readFileSync(path, "utf8");
let write = "done";
try { writeFileSync("/opt/signet/x", ""); } catch (error) { write = error.code; }
console.log(JSON.stringify({ uid: process.getuid(), files, texts, write }));
`;

describe.each([
  { name: "node-agent", command: "signet-agent", uid: 0, runs: "Usage: signet-agent run" },
  { name: "ca", command: "signet-ca", uid: 65_532, runs: "Usage: signet-ca serve" },
])("the image of $command", ({ name, command, uid, runs }) => {
  const image = `docker.io/signet/${name}:${version}`;

  /** Runs the image to its end as it would be in a pod of ours; gives what it printed. */
  const run = async (pod: string, container: object): Promise<string> => {
    await start(pod, { ...container, image }, uid !== 0);
    return await output(pod);
  };
  let found: Found;
  beforeAll(async () => {
    found = JSON.parse(await run(`${command}-look`, { command: [node, "-e", look] })) as Found;
  });

  it("holds Node, its libraries, our program, and the papers; no shell, no package manager", () => {
    const wanted = [
      /^\/etc\/passwd$/,
      /^\/usr\/local\/bin\/node$/,
      /^\/(usr\/)?lib(64)?\/([\w-]+\/)?(ld-linux[\w-]*|lib(atomic|c|dl|gcc_s|m|pthread|stdc\+\+))\.so\.\d+$/,
      /^\/usr\/share\/licenses\/signet\/LICENSE$/,
      new RegExp(`^/usr/local/bin/${command}$`),
      new RegExp(`^/usr/share/sbom/(node|${command})\\.cdx\\.json$`),
      new RegExp(`^/opt/signet/(package\\.json|(bin|dist)/${command}\\.js)$`),
    ];
    const paths = Object.keys(found.files);
    expect(paths.filter((path) => !wanted.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(wanted.filter((pattern) => !paths.some((path) => pattern.test(path)))).toEqual([]);
  });

  it("has no file that gives rights or that others may write", () => {
    const odd = Object.entries(found.files).filter(([, mode]) => (mode & 0o6022) !== 0);
    expect(odd).toEqual([]);
  });

  it(`runs as user ${uid} by itself, and not a byte of it can be changed`, () => {
    expect(found.uid).toBe(uid);
    expect(found.texts["/etc/passwd"]).toMatch(new RegExp(`:x:${uid}:${uid}:`));
    expect(found.write).toBe("EROFS");
  });

  it("says what it is made of", () => {
    const parts = (file: string) => {
      const sbom = JSON.parse(found.texts[`/usr/share/sbom/${file}.cdx.json`] ?? "") as Sbom;
      expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6" });
      return { whole: sbom.metadata.component, names: sbom.components.map((part) => part.name) };
    };
    expect(parts(command).whole.version).toBe(version);
    expect(parts(command).names).toContain("pino");
    expect(parts("node").whole).toMatchObject({ name: "node", version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    expect(parts("node").names).toEqual(expect.arrayContaining(["openssl", "v8", "libc6"]));
  });

  it("takes a pod's args for the program's own", async () => {
    const subcommand = runs.split(" ").at(-1);
    expect(await run(`${command}-args`, { args: [subcommand, "--help"] })).toContain(runs);
  });

  it("has the program as a command for kubectl exec", async () => {
    const pod = `${command}-exec`;
    await start(pod, { image, command: [node, "-e", "setInterval(() => {}, 60_000)"] }, uid !== 0);
    await kubectl("wait", `pod/${pod}`, "-n", namespace, "--for=condition=Ready", "--timeout=60s");
    expect(await kubectl("exec", pod, "-n", namespace, "--", command, "--version")).toBe(`${version}\n`);
    await expect(kubectl("exec", pod, "-n", namespace, "--", "sh", "-c", "true")).rejects.toThrow("not found");
  });
});

interface Sbom {
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: { readonly name: string }[];
}

async function start(name: string, container: object, runAsNonRoot: boolean): Promise<void> {
  await apply({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        {
          name: "main",
          imagePullPolicy: "IfNotPresent",
          securityContext: {
            ...{ runAsNonRoot, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
            ...{ capabilities: { drop: ["ALL"] }, seccompProfile: { type: "RuntimeDefault" } },
          },
          ...container,
        },
      ],
    },
  });
}

async function output(pod: string): Promise<string> {
  const phase = await until(
    `${pod} to end (are the images on the node? npm run images -- --load)`,
    async () => {
      const { status } = await kubectlJson<{ status: { phase: string } }>("get", "pod", pod, "-n", namespace);
      return ["Succeeded", "Failed"].includes(status.phase) && status.phase;
    },
    { within: 60_000, every: 500 },
  );
  const text = await kubectl("logs", pod, "-n", namespace);
  if (phase !== "Succeeded") throw new Error(`${pod} failed: ${text}`);
  return text;
}
