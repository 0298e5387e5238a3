import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Logger } from "@signet/shared/deps";
import type { Platform } from "../../compose.ts";
import { nodeCrypto } from "./crypto.ts";
import { environmentStore, fileStore } from "./file-store.ts";

/** Node as a platform; `file:` paths are relative to the folder of the configuration. */
export function nodePlatform(folder: string, logger: Logger): Platform {
  return {
    clock: () => Date.now() / 1000,
    fetch: (url, init) => fetch(url, init),
    logger,
    crypto: nodeCrypto,
    store: (location) =>
      location.startsWith("env:")
        ? environmentStore(location.slice("env:".length), process.env)
        : fileStore(authorityPath(folder, location)),
    readFile: (path) => readFile(resolve(folder, path), "utf8"),
  };
}

/** The path of a `file:` location. */
export function authorityPath(folder: string, location: string): string {
  return resolve(folder, location.replace(/^file:/, ""));
}
