import { example } from "./examples.ts";
import { fresh, headerRef } from "./headers.ts";
import { problemResponses } from "./problems.ts";
import { schemaRef } from "./schemas.ts";
import type { Operation, PathItem } from "./types.ts";

/** For those who run the CA. */
export function health(): Record<string, PathItem> {
  const common = { tags: ["Health"], security: [] };
  const alive: Operation = {
    operationId: "getHealth",
    summary: "Whether the CA runs",
    description: "200 as long as it answers at all.",
    ...common,
    responses: {
      200: {
        description: "It runs.",
        headers: fresh,
        content: { "application/json": { schema: schemaRef("Health"), example: example.health } },
      },
      ...problemResponses(["internal"]),
    },
  };
  const ready: Operation = {
    operationId: "getReadiness",
    summary: "Whether the CA can sign",
    description:
      "503 with a reason while there is no authority that can sign, or while the CA cannot know whom to deny. A CA " +
      "of several trust domains is ready while it can sign for one of them.",
    ...common,
    responses: {
      200: {
        description: "It can sign.",
        headers: fresh,
        content: { "application/json": { schema: schemaRef("Ready"), example: example.ready } },
      },
      503: {
        description: "It cannot sign now.",
        headers: { ...fresh, "retry-after": headerRef("RetryAfter") },
        content: {
          "application/json": { schema: schemaRef("NotReady"), example: example.notReady },
          // Where it could not find out in time.
          ...problemResponses(["cannot-sign"])[503]?.content,
        },
      },
      ...problemResponses(["internal"]),
    },
  };
  return { "/healthz": { get: alive }, "/readyz": { get: ready } };
}
