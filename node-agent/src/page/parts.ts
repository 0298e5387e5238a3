import { readFileSync } from "node:fs";

export interface Page {
  readonly html: string;
  readonly style: string;
  readonly script: string;
}

// Each after those that it imports from.
const modules = ["words", "judgement", "dom", "row", "table", "overview", "feed", "main"];
const scripts = ["../workload-health", ...modules.map((name) => `script/${name}`)];
const styles = ["base", "panels", "toolbar", "workloads"];

/** Reads the page from its files. */
export function readPage(stripTypes: (typeScript: string) => string): Page {
  return {
    html: read("index.html"),
    style: styles.map((name) => read(`style/${name}.css`)).join("\n"),
    script: stripTypes(scripts.map((name) => withoutBorders(read(`${name}.ts`))).join("\n")),
  };
}

// One inline script cannot import from another: in one module, all names are there already.
function withoutBorders(source: string): string {
  return source.replace(/^import [^;]*;$/gm, "").replace(/^export (?!\{)/gm, "");
}

function read(name: string): string {
  return readFileSync(new URL(name, import.meta.url), "utf8");
}
