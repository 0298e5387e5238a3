import { SignetError } from "@signet/shared/errors";
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Document as NewDocument,
  parseAllDocuments,
  type Tags,
} from "yaml";

export type Path = readonly (string | number)[];

/** One document of a YAML stream. */
export interface ManifestDocument {
  /** Counts from 1, as people do. */
  readonly number: number;
  /** The document as it stands in the stream, with its markers, comments and line ends. */
  readonly source: string;
  /** Undefined where there are only comments or blanks. */
  readonly document: Document | undefined;
  /** The same as plain data. */
  readonly value: unknown;
}

const oddTags = ["timestamp", "omap", "pairs", "set"].map((name) => `tag:yaml.org,2002:${name}`);

/** YAML 1.1 without what Kubernetes does not know: timestamps, numbers to the base of 60, collections of other kinds. */
const dialect = {
  version: "1.1",
  customTags: (tags: Tags) =>
    tags.filter((tag) => typeof tag === "string" || !(oddTags.includes(tag.tag) || tag.format === "TIME")),
} as const;

const startMarker = /^---(?=[ \t\r\n]|$)/;
const endMarker = /^\.\.\.(?=[ \t\r\n]|$)/;
const blankOrDirective = /^(?:[ \t]*(?:#.*)?|%.*)\r?\n?$/;

/**
 * Cuts a YAML stream into its documents; together they are the stream again. A line that begins with `---` or `...` is
 * a marker wherever it stands, in a block scalar too (YAML 1.2 §9.1.2).
 */
export function splitDocuments(stream: string): string[] {
  const pieces: string[] = [];
  let piece = "";
  let begun = false;
  const cut = () => {
    pieces.push(piece);
    piece = "";
    begun = false;
  };
  for (const line of stream.split(/(?<=\n)/)) {
    if (startMarker.test(line)) {
      if (begun) cut();
      begun = true;
    }
    piece += line;
    if (endMarker.test(line)) cut();
    else if (!blankOrDirective.test(line)) begun = true;
  }
  if (piece !== "") pieces.push(piece);
  return pieces;
}

/**
 * Reads a stream of YAML or JSON documents as the API server's own tools do.
 * @throws SignetError `config-invalid` with every document that is no YAML
 */
export function readDocuments(stream: string): ManifestDocument[] {
  const faults: string[] = [];
  const documents = splitDocuments(stream).map((source, index): ManifestDocument => {
    const number = index + 1;
    const nothing = { number, source, document: undefined, value: undefined };
    const fault = (reason: string) => {
      faults.push(`document ${number}: no YAML that can be read: ${reason}`);
      return nothing;
    };
    try {
      const parsed = parseAllDocuments(source, {
        ...dialect,
        logLevel: "error",
      });
      if (!Array.isArray(parsed) || parsed.length === 0) return nothing;
      const [document] = parsed;
      if (document === undefined || parsed.length > 1) return fault("it holds more than one document");
      const [error] = document.errors;
      if (error !== undefined) return fault(error.message.split("\n")[0] ?? error.code);
      return { number, source, document: document as Document, value: document.toJS() };
    } catch (error) {
      return fault(error instanceof Error ? error.message : String(error));
    }
  });
  if (faults.length > 0) throw injectError(faults);
  return documents;
}

/** The one form in which faults of what is to be injected are told. */
export function injectError(faults: readonly string[]): SignetError {
  return new SignetError(
    "config-invalid",
    `nothing was injected:\n${[...new Set(faults)].map((fault) => `  - ${fault}`).join("\n")}`,
  );
}

/** A change at a place of a document: a value in the place of another, or items in front of a list or behind it. */
export type Edit =
  | { readonly path: Path; readonly set: unknown }
  | { readonly path: Path; readonly first: readonly unknown[] }
  | { readonly path: Path; readonly last: readonly unknown[] };

/** Changes one document; what it does not touch keeps its comments, order and style. */
export class Editor {
  #document: Document;
  readonly #source: string;
  readonly #added: object[] = [];

  /** @param paths where changes will be made */
  constructor({ document, source, value }: ManifestDocument, paths: readonly Path[]) {
    if (document === undefined) throw new TypeError("a document without content cannot be changed");
    this.#source = source;
    // A change to what an alias stands for would be made in other places too: such a document is written out in full.
    const plain = paths.every((path) => standsAlone(document, path));
    this.#document = plain ? document.clone() : new NewDocument(value, { ...dialect, aliasDuplicateObjects: false });
    if (!plain && startMarker.test(source)) this.#document.directives = document.directives?.clone();
    this.keptComments = plain;
  }

  /** False when anchors or merge keys had to be written out, which loses the comments. */
  readonly keptComments: boolean;

  make(edit: Edit): void {
    if ("set" in edit) this.#set(edit.path, edit.set);
    else if ("first" in edit) this.#insert(edit.path, edit.first, "first");
    else this.#insert(edit.path, edit.last, "last");
  }

  #set(path: Path, value: unknown): void {
    // A key without a value is a null, in which nothing can be set.
    for (let depth = 1; depth < path.length; depth++) {
      const way = path.slice(0, depth);
      if (this.#document.getIn(way) === null) this.#document.deleteIn(way);
    }
    this.#document.setIn(path, this.#document.createNode(value, { aliasDuplicateObjects: false }));
  }

  /** Puts items in front of a list or behind it; makes the list where there is none. */
  #insert(path: Path, items: readonly unknown[], where: "first" | "last"): void {
    if (items.length === 0) return;
    const list = this.#document.getIn(path, true);
    const nodes = items.map((item) => this.#document.createNode(item, { aliasDuplicateObjects: false }));
    if (!isSeq(list) || list.items.length === 0) this.#set(path, items);
    else if (where === "first") list.items.unshift(...nodes);
    else list.items.push(...nodes);
  }

  /** Adds a document behind this one. */
  addDocument(value: object): void {
    this.#added.push(value);
  }

  toString(): string {
    if (isJson(this.#source)) {
      const marker = startMarker.test(this.#source) ? "---\n" : "";
      return (
        marker +
        [this.#document.toJS(), ...this.#added].map((value) => `${JSON.stringify(value, null, 2)}\n`).join("---\n")
      );
    }
    const ended = /^\.\.\.(?=[ \t\r\n]|$)/m.test(this.#source);
    const style = { lineWidth: 0, indentSeq: !flatList.test(this.#source) };
    let text = this.#document.toString(style);
    for (const value of this.#added) {
      if (!text.endsWith("\n")) text += "\n";
      const added = new NewDocument(value, { ...dialect, aliasDuplicateObjects: false });
      text += `---\n${added.toString(style)}`;
    }
    if (ended && !/^\.\.\.\n?$/m.test(text)) text += "...\n";
    return this.#source.includes("\r\n") ? text.replaceAll("\n", "\r\n") : text;
  }
}

// A list that stands as far left as its key.
const flatList = /^( *)[^\s#-][^\n]*:[ \t]*\r?\n(?: *#[^\n]*\n)*\1- /m;

function isJson(source: string): boolean {
  try {
    JSON.parse(source.replace(startMarker, ""));
    return true;
  } catch {
    return false;
  }
}

/** Whether what stands at `path` and on the way there stands in no other place of the document too. */
function standsAlone(document: Document, path: Path): boolean {
  let node: unknown = document.contents;
  for (const step of [...path, undefined]) {
    if (!isNode(node)) return true;
    if (isAlias(node) || (!isAlias(node) && node.anchor !== undefined)) return false;
    if (
      isMap(node) &&
      node.items.some(({ key }) => isScalar(key) && (key.value === "<<" || typeof key.value === "symbol"))
    )
      return false;
    if (step === undefined || !(isMap(node) || isSeq(node))) return true;
    node = node.get(step, true);
  }
  return true;
}
