import { SignetError } from "@signet/shared/errors";
import type { AuditEvent } from "../../audit/event.ts";
import type { AuditSink } from "../../audit/sink.ts";
import type { BindingSink } from "../../config/audit.ts";
import { type AnalyticsDataset, bindingWith, type Env, type Queue } from "./bindings.ts";

/** The sink that is a binding of the Worker; undefined where there is none of that name and kind. */
export function openSink(env: Env, { type, binding: name }: BindingSink): AuditSink | undefined {
  if (type === "queue") {
    const queue = bindingWith<Queue>(env, name, "sendBatch");
    return queue && queueSink(queue, name);
  }
  const dataset = bindingWith<AnalyticsDataset>(env, name, "writeDataPoint");
  return dataset && analyticsSink(dataset, name);
}

// Queues take 100 messages and 256 KB at once; an event with the longest names is under 5 KB.
const maxMessages = 50;

/** One message for each event, its body the event as JSON. */
function queueSink(queue: Queue, name: string): AuditSink {
  return {
    name: `queue ${name}`,
    maxEvents: maxMessages,
    async send(events) {
      try {
        await queue.sendBatch(events.map((body) => ({ body, contentType: "json" })));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.name : "unknown";
        throw new SignetError("internal", `queue ${name} does not take events (${reason})`, {
          cause,
          retryAfterSeconds: 5,
        });
      }
    },
  };
}

const maxIndexBytes = 96;

/**
 * One data point for each event but `signing`, for counting rather than for proof: Analytics Engine takes samples, and
 * no more than 250 points of one request. Queries know the members by the blobs' order, so it never changes: event, code,
 * issuer, subject, node, SPIFFE ID, rule, kind of key, authority.
 */
function analyticsSink(dataset: AnalyticsDataset, name: string): AuditSink {
  return {
    name: `analytics ${name}`,
    maxEvents: 250,
    async send(events) {
      for (const event of events) {
        if (event.event === "signing") continue;
        dataset.writeDataPoint({ indexes: [indexOf(event)], blobs: blobsOf(event) });
      }
    },
  };
}

/** What sampling keeps apart: one busy workload does not hide another. Subjects are ASCII. */
function indexOf({ subject = "" }: AuditEvent): string {
  return subject.slice(0, maxIndexBytes);
}

function blobsOf(event: AuditEvent): string[] {
  const { issuer = "", subject = "", node = "" } = event;
  if (event.event === "refused") return [event.event, event.code, issuer, subject, node, "", "", "", ""];
  const { spiffeId, rule, keyKind, authority } = event;
  return [event.event, "", issuer, subject, node, spiffeId, rule, keyKind, authority];
}
