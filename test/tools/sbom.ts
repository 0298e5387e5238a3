import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** What a bundle is made of, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json): each package with a byte in it. */
export function sbomOf(root: string, program: PackageJson, { outputs }: Metafile): object {
  const folders = new Set<string>();
  for (const [path, { bytesInOutput }] of Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs))) {
    if (bytesInOutput === 0) continue;
    // The last one: a package can have packages of its own inside.
    const at = path.lastIndexOf("node_modules/");
    const [scopeOrName = "", name = ""] = at < 0 ? [] : path.slice(at + "node_modules/".length).split("/");
    if (at < 0) continue;
    folders.add(
      path.slice(0, at) + join("node_modules", scopeOrName.startsWith("@") ? `${scopeOrName}/${name}` : scopeOrName),
    );
  }
  const packages = [...folders].map((folder) => readPackage(join(root, folder)));
  packages.sort((one, other) => (one.name < other.name ? -1 : 1));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...component(program), type: "application" } },
    components: packages.map((one) => ({ ...component(one), type: "library" })),
  };
}

export function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;
}

function component({ license, name, version }: PackageJson): object {
  return {
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
  };
}
