import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { inject } from "./inject.ts";
import { parseInjectOptions } from "./options.ts";
import { both, podSpec, upstreams, yaml } from "./test-manifests.ts";

const run = (stream: string) => inject(stream, parseInjectOptions({}));

test("whatever comes in, out comes valid YAML with the other documents as they were, or a coded error", () => {
  const value = fc.oneof(fc.constantFrom(null, "", "x", 0, true, [], {}), fc.jsonValue({ maxDepth: 2 }));
  const annotations = fc.dictionary(
    fc.constantFrom("signet.dev/clients", "signet.dev/upstreams", "a"),
    fc.constantFrom("a/b", "a.b:1=c/d", "x"),
  );
  const template = fc.record(
    {
      metadata: fc.oneof(
        { weight: 4, arbitrary: fc.record({ labels: fc.constant({ app: "web" }), annotations }) },
        value,
      ),
      spec: fc.oneof(
        { weight: 6, arbitrary: fc.constant(podSpec as unknown) },
        fc.record({ containers: value, volumes: value, hostAliases: value }),
      ),
    },
    { requiredKeys: [] },
  );
  const object = fc.record(
    {
      apiVersion: fc.constantFrom("v1", "apps/v1"),
      kind: fc.constantFrom("Deployment", "Service", "Pod", "List", "ConfigMap", "NetworkPolicy"),
      spec: fc.oneof(fc.record({ template }), fc.constant({ selector: { app: "web" }, ports: [{ port: 80 }] }), value),
      metadata: fc.oneof(fc.constant({ name: "web" }), value),
      items: value,
    },
    { requiredKeys: [] },
  );
  const document = fc.oneof(
    { weight: 5, arbitrary: object.map((o) => yaml(o)) },
    fc.string().map((s) => `${s}\n`),
    value.map((v) => yaml(v)),
    { weight: 2, arbitrary: fc.constantFrom(both(), both(upstreams("http://a.b:80=b/a"))) },
  );
  const untouched = "# not ours\n{a:   1} # as it was\n";
  let injected = 0;
  fc.assert(
    fc.property(fc.array(document, { maxLength: 4 }), (documents) => {
      const stream = [...documents, untouched].join("---\n");
      try {
        const { output } = run(stream);
        for (const parsed of parseAllDocuments(output, { logLevel: "error" })) expect(parsed.errors).toEqual([]);
        expect(output.endsWith(untouched)).toBe(true);
        if (output !== stream) injected++;
        expect(run(output).output).toBe(output);
      } catch (error) {
        if (!(error instanceof Error && "code" in error)) throw error;
        expect(error).toMatchObject({ code: "config-invalid" });
      }
    }),
    { numRuns: 500 },
  );
  expect(injected).toBeGreaterThan(0);
});
