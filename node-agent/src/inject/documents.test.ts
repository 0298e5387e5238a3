import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Editor, readDocuments, splitDocuments } from "./documents.ts";

describe("a stream is cut", () => {
  test.each([
    { what: "nothing", stream: "", pieces: [] },
    { what: "one document", stream: "a: 1\n", pieces: ["a: 1\n"] },
    { what: "at markers", stream: "a: 1\n---\nb: 2\n", pieces: ["a: 1\n", "---\nb: 2\n"] },
    { what: "not before the first document", stream: "# licence\n---\na: 1\n", pieces: ["# licence\n---\na: 1\n"] },
    { what: "with empty documents", stream: "---\n---\n", pieces: ["---\n", "---\n"] },
    {
      what: "after an end marker",
      stream: "a: 1\n...\n%YAML 1.1\n---\nb: 2\n",
      pieces: ["a: 1\n...\n", "%YAML 1.1\n---\nb: 2\n"],
    },
    {
      what: "with content on the marker's line",
      stream: "--- {a: 1}\n--- {b: 2}",
      pieces: ["--- {a: 1}\n", "--- {b: 2}"],
    },
    { what: "with CRLF", stream: "a: 1\r\n---\r\nb: 2\r\n", pieces: ["a: 1\r\n", "---\r\nb: 2\r\n"] },
    { what: "not at a marker inside an indented block", stream: "a: |\n  ---\n  b\n", pieces: ["a: |\n  ---\n  b\n"] },
  ])("$what", ({ stream, pieces }) => {
    expect(splitDocuments(stream)).toEqual(pieces);
  });

  test("so that the pieces are the stream again", () => {
    const line = fc.constantFrom("---", "...", "a: 1", "# c", "", "%YAML 1.1", " - x", "--- |", "\ufeff", "b: '", "\r");
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom("\n", "\r\n"), (lines, end) => {
        const stream = lines.join(end);
        expect(splitDocuments(stream).join("")).toBe(stream);
      }),
    );
  });
});

describe("reading", () => {
  test("numbers and words mean what they mean to Kubernetes", () => {
    const [document] = readDocuments("a: 0644\nb: yes\nc: 12:30:45\nd: 2026-01-02\ne: 1e3\n");
    expect(document?.value).toEqual({ a: 420, b: true, c: "12:30:45", d: "2026-01-02", e: 1000 });
  });

  test.each([
    { what: "what is no YAML", stream: "a: 1\n---\na: [\n", where: "document 2" },
    { what: "a key given twice", stream: "a: 1\na: 2\n", where: "document 1" },
    { what: "aliases without an anchor", stream: "a: *b\n", where: "document 1" },
    {
      what: "aliases that multiply",
      stream: `a: &a [x]\n${"bcdefghijk"
        .split("")
        .map((name, i) => `${name}: &${name} [${`*${"abcdefghij"[i]}, `.repeat(9)}]`)
        .join("\n")}\n`,
      where: "document 1",
    },
  ])("refuses $what and says where", ({ stream, where }) => {
    expect(() => readDocuments(stream)).toThrow(expect.objectContaining({ code: "config-invalid" }));
    expect(() => readDocuments(stream)).toThrow(where);
  });
});

function edit(source: string, ...edits: Parameters<Editor["make"]>[0][]): string {
  const [document] = readDocuments(source);
  if (document === undefined) throw new Error("no document");
  const editor = new Editor(
    document,
    edits.map(({ path }) => path),
  );
  for (const change of edits) editor.make(change);
  return editor.toString();
}

describe("a change", () => {
  test("keeps comments, order, markers, quotes and unusual numbers", () => {
    const source = `# head
---
# first
z: 0644 # octal
a: 'quoted'
list:
# of things
- one
# between
- "two"
long: ${"word ".repeat(60).trim()}
`;
    expect(edit(source, { path: ["list"], last: ["three"] })).toBe(source.replace('- "two"\n', '- "two"\n- three\n'));
  });

  test("makes the lists and maps that are not there, and takes the place of empty ones", () => {
    const text = edit("a:\nb: []\n", { path: ["a", "c"], first: [1] }, { path: ["b"], last: [{ d: 2 }] });
    expect(readDocuments(text)[0]?.value).toEqual({ a: { c: [1] }, b: [{ d: 2 }] });
  });

  test("quotes text that Kubernetes would take for something else", () => {
    expect(edit("a: 1\n", { path: ["b"], set: "yes" })).toContain('b: "yes"');
  });

  test("reaches no other place by an anchor", () => {
    const source = "base: &base\n  list: [1]\none: *base\ntwo:\n  <<: *base\n";
    for (const place of ["one", "two", "base"]) {
      const text = edit(source, { path: [place, "list"], last: [2] });
      const value = readDocuments(text)[0]?.value as Record<string, { list: number[] }>;
      for (const other of ["base", "one", "two"]) expect(value[other]?.list).toEqual(other === place ? [1, 2] : [1]);
    }
  });

  test("leaves anchors alone that stand elsewhere", () => {
    const source = "a: &x\n  b: 1\nc: *x\nlist:\n  - 1\n";
    expect(edit(source, { path: ["list"], last: [2] })).toBe(`${source}  - 2\n`);
  });

  test("answers JSON with JSON and CRLF with CRLF", () => {
    expect(JSON.parse(edit('{"a": [1]}', { path: ["a"], last: [2] }))).toEqual({ a: [1, 2] });
    expect(edit('---\n{"a": [1]}', { path: ["a"], last: [2] })).toBe('---\n{\n  "a": [\n    1,\n    2\n  ]\n}\n');
    expect(edit("a:\r\n  - 1\r\n", { path: ["a"], last: [2] })).toBe("a:\r\n  - 1\r\n  - 2\r\n");
  });
});
