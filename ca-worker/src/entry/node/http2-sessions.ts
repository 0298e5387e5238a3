import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { SignetError } from "@signet/shared/errors";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

// What a well-behaved client does seldom: a ping or new settings are no work of its own, a stream given up early is work
// for nothing (CVE-2019-9512, CVE-2019-9515, CVE-2023-44487). So many at once are fine, then so many in a second.
const budgetBurst = 200;
const budgetPerSecond = 10;

export interface GuardOptions {
  /** Most milliseconds from a request's first header to its answer's last byte. */
  readonly streamTimeoutMs: number;
  readonly onAbuse: (reason: "http2-flood" | "slow-stream") => void;
}

/** Holds a session of HTTP/2 to what node:http2 and nghttp2 do not bound themselves. */
export function guardSession(session: ServerHttp2Session, { streamTimeoutMs, onAbuse }: GuardOptions): void {
  let left = budgetBurst;
  let at = performance.now();
  const spend = () => {
    const now = performance.now();
    left = Math.min(budgetBurst, left + ((now - at) / 1000) * budgetPerSecond) - 1;
    at = now;
    if (left >= 0 || session.destroyed) return;
    onAbuse("http2-flood");
    session.destroy(new SignetError("rate-limited", "flood of frames"), NGHTTP2_ENHANCE_YOUR_CALM);
  };
  session.on("ping", spend);
  session.on("remoteSettings", spend);
  session.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("aborted", spend);
    const timer = setTimeout(() => {
      onAbuse("slow-stream");
      stream.close(NGHTTP2_CANCEL);
    }, streamTimeoutMs);
    stream.once("close", () => clearTimeout(timer));
  });
  // Whatever goes wrong on one connection is that connection's; the session ends by itself.
  session.on("error", () => {});
}
