import { readFileSync, statSync } from "node:fs";
import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { decodeTokenUnverified, readServiceAccountClaims } from "@signet/shared/service-account";

/** The agent's own token, which says to the CA on which node it runs. */
export interface NodeToken {
  /** The token as it is now, or undefined where the agent has none. */
  current(): string | undefined;
  /** The node that it names, unverified; undefined where it names none. */
  nodeUid(): string | undefined;
}

export const noNodeToken: NodeToken = { current: () => undefined, nodeUid: () => undefined };

/**
 * Follows a token file. The file is looked at when the token is needed and read when it has changed: the kubelet replaces
 * it by renaming, which watches of single files miss.
 * @throws SignetError `config-invalid` when the first read fails
 */
export function followNodeToken(file: string, log: Logger): NodeToken {
  let seen = fingerprint(file);
  let token = read(file);
  let node = nodeOf(token);
  const refresh = () => {
    try {
      const now = fingerprint(file);
      if (now === seen) return;
      token = read(file);
      node = nodeOf(token);
      seen = now;
      log.info({ file }, "node token read again");
    } catch (error) {
      // The old token may be good for a while yet, and the CA is the judge of that.
      const code = error instanceof SignetError ? error.code : "unreadable";
      log.warn({ file, code }, "node token cannot be read; the one from before stays in use");
    }
  };
  return {
    current: () => {
      refresh();
      return token;
    },
    nodeUid: () => {
      refresh();
      return node;
    },
  };
}

function fingerprint(file: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(file);
    return `${ino}:${mtimeMs}:${size}`;
  } catch (cause) {
    throw unusable(file, "it cannot be read", cause);
  }
}

function read(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw unusable(file, "it cannot be read", cause);
  }
  if (text.length > maxTokenCharacters || !/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) {
    throw unusable(file, "it holds no compact JWS");
  }
  return text;
}

function nodeOf(token: string): string | undefined {
  try {
    return readServiceAccountClaims(decodeTokenUnverified(token)).nodeUid;
  } catch {
    // Whether such a token is any good is for the CA to say; here it only switches the early check off.
    return undefined;
  }
}

function unusable(file: string, reason: string, cause?: unknown): SignetError {
  return new SignetError("config-invalid", `nodeToken: ${file}: ${reason}`, { cause });
}
