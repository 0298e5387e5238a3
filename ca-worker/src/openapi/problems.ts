import { problemContentType, problemTypePrefix } from "@signet/shared/ca-api";
import type { CaErrorCode } from "@signet/shared/errors";
import { problemKinds } from "../respond/problem.ts";
import { example } from "./examples.ts";
import { fresh, headerRef } from "./headers.ts";
import { schemaRef } from "./schemas.ts";
import type { ResponseObject } from "./types.ts";

/** What a route answers where it cannot do as asked: a response for each status, which names its codes there. */
export function problemResponses(codes: readonly CaErrorCode[]): Record<string, ResponseObject> {
  const statuses = new Set(codes.map((code) => problemKinds[code].status));
  const ofStatus = (status: number) => codes.filter((code) => problemKinds[code].status === status);
  return Object.fromEntries([...statuses].map((status) => [status, problemResponse(status, ofStatus(status))]));
}

function problemResponse(status: number, codes: readonly CaErrorCode[]): ResponseObject {
  return {
    description: codes.map((code) => `\`${code}\`: ${problemKinds[code].title}.`).join(" "),
    headers: {
      ...fresh,
      ...(status === 401 && { "www-authenticate": headerRef("WwwAuthenticate") }),
      ...((status === 429 || status === 503) && { "retry-after": headerRef("RetryAfter") }),
    },
    content: {
      [problemContentType]: {
        schema: {
          allOf: [
            schemaRef("Problem"),
            {
              properties: {
                type: { enum: codes.map((code) => `${problemTypePrefix}${code}`) },
                status: { const: status },
              },
            },
          ],
        },
        example: example.problems[codes[0] as CaErrorCode],
      },
    },
  };
}
