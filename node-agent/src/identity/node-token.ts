import { maxTokenCharacters } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import { decodeTokenUnverified, readServiceAccountClaims } from "@signet/shared/service-account";
import { FollowedFile } from "../followed-file.ts";
import { compactJws } from "./token.ts";

/** The agent's own token, which says to the CA on which node it runs. */
export interface NodeToken {
  /** The token as it is now, or undefined where the agent has none. */
  current(): string | undefined;
  /** The node that it names, unverified; undefined where it names none. */
  nodeUid(): string | undefined;
}

export const noNodeToken: NodeToken = { current: () => undefined, nodeUid: () => undefined };

/**
 * Follows a token file.
 * @throws SignetError `config-invalid` when the first read fails
 */
export function followNodeToken(file: string, log: Logger): NodeToken {
  const followed = new FollowedFile({
    file,
    setting: "nodeToken",
    read: (text) => {
      const token = text.trim();
      if (token.length > maxTokenCharacters || !compactJws.test(token)) {
        throw new SignetError("config-invalid", `nodeToken: ${file}: it holds no compact JWS`);
      }
      return { token, nodeUid: nodeOf(token) };
    },
    log,
  });
  return { current: () => followed.current().token, nodeUid: () => followed.current().nodeUid };
}

function nodeOf(token: string): string | undefined {
  try {
    return readServiceAccountClaims(decodeTokenUnverified(token)).nodeUid;
  } catch {
    // Whether such a token is any good is for the CA to say; here it only switches the early check off.
    return undefined;
  }
}
