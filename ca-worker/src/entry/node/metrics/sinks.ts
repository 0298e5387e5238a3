import { Counter, Gauge, type Registry } from "prom-client";
import type { Delivery, SinkStatus } from "../../../audit/delivery.ts";

type Number = Exclude<keyof SinkStatus, "name" | "required">;

const counters: Readonly<Record<Exclude<Number, "waiting">, { name: string; help: string }>> = {
  delivered: { name: "signet_ca_audit_delivered_total", help: "Audit events that a sink has" },
  failures: { name: "signet_ca_audit_failures_total", help: "Deliveries of audit events that failed" },
  dropped: { name: "signet_ca_audit_dropped_total", help: "Audit events that a sink never got" },
};

/** How the audit's sinks fare. Those that must be there are marked: while one fails, nothing is signed. */
export function sinkMetrics(deliveries: readonly Pick<Delivery, "status">[], registry: Registry): void {
  const labelNames = ["sink", "required"];
  const labelsOf = ({ name, required }: SinkStatus) => ({ sink: name, required: String(required) });
  for (const [number, { name, help }] of Object.entries(counters)) {
    new Counter({
      ...{ name, help, labelNames, registers: [registry] },
      collect() {
        this.reset();
        for (const { status } of deliveries) this.inc(labelsOf(status), status[number as Number]);
      },
    });
  }
  new Gauge({
    ...{ name: "signet_ca_audit_waiting", help: "Audit events that wait for their sink", labelNames },
    registers: [registry],
    collect() {
      for (const { status } of deliveries) this.set(labelsOf(status), status.waiting);
    },
  });
}
