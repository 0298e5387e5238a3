import type { Fetch } from "@signet/shared/deps";

// A frozen function does not see its peers close their connections; undici and the system tell it in these ways.
const deadConnection = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE", "ETIMEDOUT"]);

/**
 * A fetch that asks once more when the connection that it took had died while the function was frozen. All that the CA
 * sends can come twice: it reads keys and secrets, asks for reviews, and reports events that have ids.
 */
export function fetchAfterThaw(fetch: Fetch): Fetch {
  return async (url, init) => {
    try {
      return await fetch(url, init);
    } catch (error) {
      const { cause } = error as { cause?: { code?: unknown } };
      const again = typeof cause?.code === "string" && deadConnection.has(cause.code) && !init?.signal?.aborted;
      // A body that streams is gone with the first try.
      if (!again || init?.body instanceof ReadableStream) throw error;
      return fetch(url, init);
    }
  };
}
