import type { IncomingHttpHeaders } from "node:http";
import { type AuditEvent, auditEvent } from "@signet/ca/audit/event";
import * as v from "valibot";
import { startHttp } from "./listening.ts";

/** A collector of logs, as audit events are posted to. */
export interface EventReceiver {
  readonly url: string;
  /** All that came, held against the events' schema. */
  readonly events: readonly AuditEvent[];
  readonly headers: readonly IncomingHttpHeaders[];
  /** All that came, as it came. */
  readonly text: () => string;
  /** Status of its answers from now on. */
  answer(status: number): void;
  clear(): void;
  stop(): Promise<void>;
}

export async function startEventReceiver(): Promise<EventReceiver> {
  const events: AuditEvent[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let text = "";
  let status = 204;
  const server = await startHttp((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      headers.push(request.headers);
      text += body;
      if (status < 300) {
        for (const line of body.trimEnd().split("\n")) events.push(v.parse(auditEvent, JSON.parse(line)));
      }
      response.writeHead(status).end();
    });
  });
  return {
    url: `${server.url}/events`,
    events,
    headers,
    text: () => text,
    answer(next) {
      status = next;
    },
    clear() {
      events.splice(0);
      headers.splice(0);
      text = "";
    },
    stop: server.stop,
  };
}
