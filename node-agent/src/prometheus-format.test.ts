import { expect, test } from "vitest";
import { formatFamilies } from "./prometheus-format.ts";

test("values, labels and help are written as the format wants them", () => {
  const text = formatFamilies([
    {
      name: "a_total",
      type: "counter",
      help: 'back\\slash, "quotes" and\nlines',
      samples: [
        { value: 1.5, labels: { path: 'C:\\"x"\n', n: 2 } },
        { value: Number.POSITIVE_INFINITY },
        { value: Number.NEGATIVE_INFINITY, labels: {} },
        { value: 0, suffix: "_sum" },
      ],
    },
    { name: "b", type: "gauge", help: "nothing yet", samples: [] },
  ]);
  expect(text.split("\n")).toEqual([
    '# HELP a_total back\\\\slash, "quotes" and\\nlines',
    "# TYPE a_total counter",
    'a_total{path="C:\\\\\\"x\\"\\n",n="2"} 1.5',
    "a_total +Inf",
    "a_total -Inf",
    "a_total_sum 0",
    "# HELP b nothing yet",
    "# TYPE b gauge",
    "",
  ]);
});
