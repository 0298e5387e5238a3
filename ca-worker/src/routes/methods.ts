import type { Hono } from "hono";
import type { AppEnv } from "../app.ts";

/**
 * The methods that a path takes, for `allow` (RFC 9110 §10.2.1): those of its routes, HEAD where GET is, and OPTIONS.
 * @returns undefined where there is no such path
 */
export function allowedMethods(app: Hono<AppEnv>, path: string): string | undefined {
  // ALL is of middleware, whose path is a pattern.
  const routes = app.routes.filter((route) => route.path === path && route.method !== "ALL");
  const own = routes.map(({ method }) => method);
  if (own.length === 0) return undefined;
  const methods = own.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  return [...new Set([...methods, "OPTIONS"])].join(", ");
}
