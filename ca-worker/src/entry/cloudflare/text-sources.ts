import { SignetError } from "@signet/shared/errors";
import { kvEntryOf } from "../../config/location.ts";
import type { TextSource } from "../../text-source.ts";
import { bindingWith, type Env, type KvNamespace } from "./bindings.ts";

// The least that KV allows. Whoever reads texts again does so at this pace too.
const cacheSeconds = 30;

/** The text at `env:NAME` (a secret or variable) or `kv:BINDING/KEY`; undefined for what Workers have not. */
export function openText(env: Env, location: string): TextSource | undefined {
  if (location.startsWith("env:")) return secret(env, location.slice("env:".length));
  const entry = kvEntryOf(location);
  const namespace = entry && bindingWith<KvNamespace>(env, entry.binding, "get");
  return namespace && kvText(namespace, entry.key, location);
}

function secret(env: Env, name: string): TextSource {
  return {
    read() {
      const value = env[name];
      if (typeof value === "string") return value;
      throw new SignetError("source-unavailable", `there is no secret or variable ${name}`);
    },
  };
}

function kvText(namespace: KvNamespace, key: string, location: string): TextSource {
  return {
    async read() {
      const text = await namespace.get(key, { type: "text", cacheTtl: cacheSeconds }).catch((cause: unknown) => {
        throw new SignetError("source-unavailable", `${location} cannot be read`, { cause });
      });
      if (text === null) throw new SignetError("source-unavailable", `${location}: there is no such key`);
      return text;
    },
  };
}
