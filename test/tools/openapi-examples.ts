/** Makes the examples of the OpenAPI document anew, after a change of what the CA answers. */
import { writeFile } from "node:fs/promises";
import { makeExamples } from "../support/openapi-examples.ts";

const file = new URL("../../ca-worker/src/openapi/examples.json", import.meta.url);
await writeFile(file, `${JSON.stringify(await makeExamples(), null, 2)}\n`);
