import { expect } from "vitest";
import { OpenApiCheck } from "../support/openapi-check.ts";
import type { ContractCa } from "./platforms.ts";

/** Asks a CA, and fails where an exchange is not as the CA's own OpenAPI document says. */
export async function holdToDocument(ca: ContractCa): Promise<ContractCa["fetch"]> {
  const document = await ca.fetch("/openapi.json");
  expect(document.status, "/openapi.json; is the program built?").toBe(200);
  const check = new OpenApiCheck(await document.json());
  return async (path, init = {}) => {
    const response = await ca.fetch(path, init);
    const { method = "GET", headers, body } = init;
    const asked = {
      method: method.toUpperCase(),
      path,
      headers: new Headers(headers),
      body: typeof body === "string" ? body : undefined,
    };
    const answered = {
      status: response.status,
      headers: response.headers,
      body: await response.clone().text(),
    };
    expect(check.faults(asked, answered), `${asked.method} ${path} ${answered.status}, against /openapi.json`).toEqual(
      [],
    );
    return response;
  };
}
