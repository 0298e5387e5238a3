import type { Http2Bindings, HttpBindings } from "@hono/node-server";
import { SignetError } from "@signet/shared/errors";
import { problemResponse } from "../../respond/problem.ts";
import type { Drain } from "./drain.ts";
import type { RequestMetrics } from "./metrics/requests.ts";

export type NodeBindings = HttpBindings | Http2Bindings;
export type Answer = (request: Request, env: NodeBindings) => Response | Promise<Response>;

/**
 * What Node adds around the app: it counts and times, says no to `/readyz` while the server drains, and lets go of the
 * connections of HTTP/1.1 then; those of HTTP/2 get a GOAWAY when the server closes.
 * @param flushLog what an answer must not overtake
 */
export function answering(answer: Answer, requests: RequestMetrics, drain: Drain, flushLog: () => void): Answer {
  return async (request, env) => {
    const { url = "/", httpVersionMajor } = env.incoming;
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const meter = requests.started(path);
    const response = drain.begun && path === "/readyz" ? stopping() : await answer(request, env);
    meter.ended(response.status);
    flushLog();
    if (drain.begun && httpVersionMajor === 1) response.headers.set("connection", "close");
    return response;
  };
}

function stopping(): Response {
  const body = { status: "not ready", code: "stopping", reason: "this instance is stopping" };
  return Response.json(body, { status: 503, headers: { "retry-after": "5", "cache-control": "no-store" } });
}

/** For what never gets as far as the app: a target or a host that makes no URL. */
export function answerUnreadable(requestId: () => string): (error: unknown) => Response {
  return (error) => {
    const refused = error instanceof Error && error.name === "RequestError";
    const code = refused ? "malformed-request" : "internal";
    return problemResponse(
      new SignetError(code, "the request's target or host cannot be read", { cause: error }),
      requestId(),
    );
  };
}
