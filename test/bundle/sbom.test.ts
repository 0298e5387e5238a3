import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, repoRoot } from "../support/repo.ts";

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
}

interface Component extends PackageJson {
  readonly purl: string;
}

interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: Component[];
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, "utf8")) as T;

beforeAll(ensureBuilt);

describe.each([
  { program: "ca-worker/dist/signet-ca", name: "@signet/ca" },
  { program: "node-agent/dist/signet-agent", name: "@signet/node-agent" },
])("what is in the bundle of $name", ({ program, name }) => {
  const path = join(repoRoot, program);

  it("is listed with its exact version, and nothing else is", () => {
    const { bomFormat, specVersion, metadata, components } = readJson<Sbom>(`${path}.cdx.json`);
    expect({ bomFormat, specVersion }).toEqual({ bomFormat: "CycloneDX", specVersion: "1.6" });
    expect(metadata.component).toMatchObject({
      name,
      version: readJson<PackageJson>(`${repoRoot}/package.json`).version,
    });
    const listed = components.map((one) => `${one.name}@${one.version}`);
    const found = packagesOfSourceMap(`${path}.js.map`);
    expect(listed).toEqual(expect.arrayContaining([expect.stringMatching(/^pino@\d/)]));
    expect(listed.filter((one) => !found.has(one))).toEqual([]);
    expect([...found].filter((one) => !listed.includes(one))).toEqual([]);
  });

  it("has package URLs as their specification writes them", () => {
    for (const { name: of = "", version, purl } of readJson<Sbom>(`${path}.cdx.json`).components) {
      expect(purl).toBe(`pkg:npm/${of.replace(/^@/, "%40")}@${version}`);
    }
  });
});

/** Where the bundle's code came from, as the bundler tells debuggers. */
function packagesOfSourceMap(map: string): Set<string> {
  const { sources } = readJson<{ sources: string[] }>(map);
  const found = new Set<string>();
  for (const source of sources) {
    const path = join(dirname(map), source);
    if (path.includes("/node_modules/")) found.add(packageOf(dirname(path)));
  }
  // The sources of what a package's maker bundled are not there.
  found.delete(packageOf(repoRoot));
  return found;
}

function packageOf(folder: string): string {
  const file = join(folder, "package.json");
  const { name, version } = existsSync(file) ? readJson<PackageJson>(file) : {};
  // Some folders have a package.json that says only what kind of modules they hold.
  return name === undefined || version === undefined ? packageOf(dirname(folder)) : `${name}@${version}`;
}
