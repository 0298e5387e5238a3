/** Bundles the two programs and the Lambda function into one file each: less to load at start, nothing to install beside Node. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readPage } from "@signet/node-agent/page/parts";
import { build, type Plugin, transformSync } from "esbuild";
import { readPackage, sbomOf } from "./sbom.ts";

/**
 * Takes Node's own modules by require(), when their importer runs. An import statement would be hoisted to the start, and
 * the ESM form of `node:http` reads each of its exports, which loads the whole of fetch: 50 ms for nothing.
 */
const requireBuiltins: Plugin = {
  name: "require-builtins",
  setup({ onResolve, onLoad }) {
    const names = new RegExp(`^(?:node:)?(?:${builtinModules.join("|")})$`);
    onResolve({ filter: names }, ({ path, kind }) =>
      kind === "import-statement" ? { path: path.replace(/^(?!node:)/, "node:"), namespace: "builtin" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({ contents: `module.exports = require("${path}")` }));
  },
};

/** Puts the text of the agent's page in place of the module that reads it from its files. */
const pageAsText: Plugin = {
  name: "page-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /node-agent\/src\/page\/document\.ts$/ }, async () => {
      const { html, ...page } = readPage((script) => transformSync(script, { loader: "ts", minify: true }).code);
      const style = transformSync(page.style, { loader: "css", minify: true }).code;
      return { contents: `export const page = ${JSON.stringify({ html, ...page, style })};` };
    });
  },
};

const root = fileURLToPath(new URL("../../", import.meta.url));
const programs = [
  { folder: "ca-worker", entry: "src/cli/main.ts", file: "dist/signet-ca.js", sbom: "dist/signet-ca.cdx.json" },
  // Alone in its folder, which is the deployment package.
  {
    folder: "ca-worker",
    entry: "src/entry/lambda.ts",
    file: "dist/lambda/index.mjs",
    sbom: "dist/signet-ca-lambda.cdx.json",
    target: "node24",
    sourcemap: false,
  },
  { folder: "node-agent", entry: "src/main.ts", file: "dist/signet-agent.js", sbom: "dist/signet-agent.cdx.json" },
];

for (const { folder, entry, file, sbom: sbomFile, target = "node20", sourcemap = true } of programs) {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [join(folder, entry)],
    outfile: join(folder, file),
    metafile: true,
    bundle: true,
    platform: "node",
    target,
    // jsonc-parser's "main" is UMD, whose require() a bundler cannot follow.
    mainFields: ["module", "main"],
    format: "esm",
    sourcemap,
    // Less to read at start; names stay, so that a stack trace can be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    // CommonJS packages inside the bundle still call require() for Node's own modules.
    banner: {
      js: 'import { createRequire as signetCreateRequire } from "node:module"; const require = signetCreateRequire(import.meta.url);',
    },
    plugins: [requireBuiltins, pageAsText],
    logLevel: "warning",
    write: false,
  });
  const sbom = {
    path: join(root, folder, sbomFile),
    contents: `${JSON.stringify(sbomOf(root, readPackage(join(root, folder)), metafile), null, 2)}\n`,
  };
  // Each file is there whole, before and after: somebody may be starting the program right now.
  for (const { path, contents } of [...outputFiles, sbom]) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, contents);
    await rename(`${path}.new`, path);
  }
}
