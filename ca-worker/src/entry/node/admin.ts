import { Hono } from "hono";
import type { Registry } from "prom-client";
import type { Answer, NodeBindings } from "./answer.ts";

/** The routes for those who look after the CA. */
export function adminRoutes(registry: Registry): Hono {
  // Written once for all who ask meanwhile: on the API's own port strangers may ask, and it costs more than any other answer.
  let writing: Promise<string> | undefined;
  const write = () => {
    writing ??= registry.metrics().finally(() => {
      writing = undefined;
    });
    return writing;
  };
  return new Hono().get("/metrics", async (context) =>
    context.body(await write(), 200, { "content-type": registry.contentType, "cache-control": "no-store" }),
  );
}

/**
 * They, and the health of the API, for an address of its own: it is in plain http, for Prometheus and for probes that should
 * not need the API's port.
 */
export function adminApp(routes: Hono, api: Answer): Hono<{ Bindings: NodeBindings }> {
  return new Hono<{ Bindings: NodeBindings }>()
    .route("/", routes)
    .on("GET", ["/healthz", "/readyz"], (context) => api(context.req.raw, context.env))
    .notFound((context) => context.text("here are /metrics, /healthz and /readyz\n", 404));
}
