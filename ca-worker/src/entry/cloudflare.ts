import { env } from "cloudflare:workers";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { preload } from "../preload.ts";
import { problemResponse } from "../respond/problem.ts";
import { type Instance, Instances } from "./cloudflare/instance.ts";
import { workerLogger } from "./cloudflare/log.ts";
import { workerPlatform } from "./cloudflare/platform.ts";

interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

// While the isolate starts, before any request is there to wait for it.
const instances = new Instances(env, workerPlatform(env));
const preloaded = new WeakSet<Instance>();
// A free-plan Worker has 50 subrequests in a request.
const maxPreloadedIssuers = 16;

/** The Cloudflare Worker. */
export default {
  async fetch(request: Request, _env: unknown, context: ExecutionContext): Promise<Response> {
    let instance: Instance;
    try {
      instance = await instances.current();
    } catch (error) {
      const { code, message } = asSignetError(error, "config-invalid");
      workerLogger.error({ event: "config", code, error: message }, "the Worker is not configured");
      return problemResponse(new SignetError("cannot-sign", message), "startup");
    }
    const response = await instance.app.fetch(request);
    if (!preloaded.has(instance)) {
      preloaded.add(instance);
      // After the answer to the first request, which has itself waited for no more than it needed.
      context.waitUntil(preload(instance.composed, maxPreloadedIssuers));
    }
    return response;
  },
};
