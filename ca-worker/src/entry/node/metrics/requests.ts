import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** Of one request. */
export interface RequestMeter {
  ended(status: number): void;
}

export interface RequestMetrics {
  /** @param path of the request, without its query */
  started(path: string): RequestMeter;
}

/**
 * Counts and times requests by route and status. A path that is no route of ours is `other`: what clients send never
 * makes a new series.
 * @param routes of the app; patterns are of its middleware and no routes
 */
export function requestMetrics(routes: Iterable<string>, registry: Registry): RequestMetrics {
  const known = new Set([...routes].filter((path) => !path.includes("*")));
  const requests = new Counter({
    name: "signet_ca_http_requests_total",
    help: "Requests by route and status of the answer",
    labelNames: ["route", "status"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "signet_ca_http_request_duration_seconds",
    help: "Time from a request's headers to its answer's, by route",
    labelNames: ["route"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const inFlight = new Gauge({
    name: "signet_ca_http_requests_in_flight",
    help: "Requests that are being answered",
    registers: [registry],
  });
  // Label values are hashed once, not for each request.
  const counters = new Map<string, Counter.Internal>();
  const counterOf = (route: string, status: number): Counter.Internal => {
    const name = `${status} ${route}`;
    const counter = counters.get(name) ?? requests.labels(route, String(status));
    counters.set(name, counter);
    return counter;
  };
  const histograms = new Map([...known, other].map((route) => [route, durations.labels(route)]));
  return {
    started(path) {
      const route = known.has(path) ? path : other;
      const start = performance.now();
      inFlight.inc();
      return {
        ended(status) {
          inFlight.dec();
          counterOf(route, status).inc();
          histograms.get(route)?.observe((performance.now() - start) / 1000);
        },
      };
    },
  };
}

const other = "other";
