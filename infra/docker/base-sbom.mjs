/** Prints what comes from the base image as CycloneDX 1.6: this Node, what it was built with, and the packages of the libraries named. */
import { spawnSync } from "node:child_process";

// The numbers of its two binary interfaces are no parts.
const { node, modules: _modules, napi: _napi, ...parts } = process.versions;
const generic = ([name, version]) => ({ type: "library", name, version, purl: `pkg:generic/${name}@${version}` });

/** What `dpkg-query` says of the package that has this file; undefined for a file that is in none. */
function packageOf(file) {
  // A file of /usr/lib may be known under /lib, or the other way round.
  for (const path of [file, `/usr${file}`]) {
    const { stdout, status } = spawnSync("dpkg-query", ["-S", path], { encoding: "utf8" });
    if (status === 0) return stdout.split(": ")[0];
  }
  return undefined;
}

function component(name) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills these in
  const format = "${Package} ${Version} ${Architecture}";
  const { stdout, stderr, status } = spawnSync("dpkg-query", ["-W", `-f=${format}`, name], { encoding: "utf8" });
  if (status !== 0) throw new Error(`dpkg-query knows nothing of ${name}: ${stderr}`);
  const [plain, version, arch] = stdout.split(" ");
  const purl = `pkg:deb/debian/${plain}@${encodeURIComponent(version)}?arch=${arch}`;
  return { type: "library", name: plain, version, purl };
}

const files = process.argv.slice(2);
const owners = new Map(files.map((file) => [file, packageOf(file)]));
const packages = [...new Set(owners.values())].filter((name) => name !== undefined);
// Where there is no dpkg, or a library came without a package, its name is all there is to tell.
const unowned = files.filter((file) => owners.get(file) === undefined);

console.log(
  JSON.stringify(
    {
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      metadata: {
        component: { type: "application", name: "node", version: node, purl: `pkg:generic/node@${node}` },
      },
      components: [
        ...Object.entries(parts)
          .filter(([, version]) => version !== "")
          .map(generic),
        ...packages.sort().map(component),
        ...unowned.map((name) => ({ type: "file", name })),
      ],
    },
    null,
    2,
  ),
);
