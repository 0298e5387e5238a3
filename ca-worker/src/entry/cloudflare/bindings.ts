/** Of the bindings that Workers have, what is used of them; `wrangler.jsonc` gives them their names. */

export type Env = Readonly<Record<string, unknown>>;

/** A Workers KV namespace. */
export interface KvNamespace {
  get(key: string, options: { readonly type: "text"; readonly cacheTtl: number }): Promise<string | null>;
}

/** A producer of a Cloudflare queue. */
export interface Queue {
  sendBatch(messages: readonly { readonly body: unknown; readonly contentType: "json" }[]): Promise<unknown>;
}

/** A dataset of Workers Analytics Engine. */
export interface AnalyticsDataset {
  writeDataPoint(point: { readonly indexes: [string]; readonly blobs: string[] }): void;
}

/** A counter of the Workers rate-limiting API. */
export interface RateLimitBinding {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

/** The binding of a name, when it has the method that shows its kind. */
export function bindingWith<Binding extends object>(
  env: Env,
  name: string,
  method: keyof Binding & string,
): Binding | undefined {
  const binding = env[name];
  const fits = typeof binding === "object" && binding !== null && method in binding;
  return fits ? (binding as Binding) : undefined;
}
