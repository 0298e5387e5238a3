/** What of the Workers runtime's own module is used here. */
declare module "cloudflare:workers" {
  /** Bindings, variables and secrets of the Worker; the same all through the life of an isolate. */
  export const env: Readonly<Record<string, unknown>>;
  /** Keeps the request that runs alive until `work` has ended, for 30 s at most after its answer. */
  export function waitUntil(work: Promise<unknown>): void;
}
