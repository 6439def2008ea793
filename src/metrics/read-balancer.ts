/**
 * The balancer's part of a scrape: what its workers count and its keeper says.
 * @module
 */
import {
  BACKEND_SLOTS,
  BALANCER_METRICS,
  type BalancerMetricName,
  LATENCY_OCTAVES,
  LISTENER_SLOTS,
} from "#metrics/catalog-balancer.ts";
import type { Latency } from "#metrics/latency-window.ts";
import type { HistogramTotals } from "#metrics/totals-histogram.ts";
import { BACKEND_COUNTERS, BACKEND_STATE_NAMES, type BackendCounter } from "#state/backend-table.ts";
import { LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import { LATENCY_BUCKETS } from "#state/latency.ts";

type StateName = (typeof BACKEND_STATE_NAMES)[number];

export type CacheTotals = Readonly<Record<"store", string>> &
  Readonly<
    Record<
      | "objects"
      | "octets"
      | "maxOctets"
      | "hits"
      | "stale"
      | "misses"
      | "passed"
      | "waited"
      | "stored"
      | "revalidated"
      | "evicted"
      | "purged",
      number
    >
  >;
export type BalancerSource = {
  readonly engine: { readonly name: string; readonly why: string } | undefined;
  readonly workers: Readonly<Record<string, number>>;
  readonly listeners: readonly {
    readonly name: string;
    readonly counters: Readonly<Record<ListenerCounter, number>>;
  }[];
  readonly certificates: readonly {
    readonly listener: string;
    readonly certificate: string;
    readonly notAfterMs: number;
  }[];
  readonly acme: readonly { readonly key: string; readonly issued: number; readonly failures: number }[];
  /** One a store. */
  readonly caches: readonly CacheTotals[];
  /** Of the access log, by file. */
  readonly droppedLines: Readonly<Record<string, number>>;
  readonly pools: readonly {
    readonly name: string;
    readonly isPanic: boolean;
    readonly queued: number;
    readonly backends: readonly {
      readonly key: string;
      readonly state: StateName;
      readonly weight: number;
      readonly active: number;
      readonly counters: Readonly<Record<BackendCounter, number>>;
      /** Undefined: it has had no HTTP request. */
      readonly latency: Latency | undefined;
    }[];
  }[];
};

type Labels = Record<string, string>;
/** Sets one sample, to a total where the metric is a counter. */
export type SetSample = (name: BalancerMetricName, value: number, labels: Labels) => void;
/** Sets a histogram to totals: how many up to each of its bounds, of how many in all. */
export type SetHistogram = (name: BalancerMetricName, totals: HistogramTotals, labels: Labels) => void;

export function readBalancer(
  { engine, workers, listeners, certificates, acme, caches, droppedLines, pools }: BalancerSource,
  set: SetSample,
  setHistogram: SetHistogram,
): void {
  if (engine) set("rhumb_balancer_engine_info", 1, { engine: engine.name, why: engine.why });
  for (const [kind, serving] of Object.entries(workers)) set("rhumb_balancer_workers", serving, { kind });
  for (const { name, counters } of listeners) {
    for (const each of LISTENER_COUNTERS) {
      const slot = LISTENER_SLOTS[each];
      if (slot) set(slot.metric, counters[each], { listener: name, ...slot.labels });
    }
  }
  for (const { listener, certificate, notAfterMs } of certificates)
    set("rhumb_tls_certificate_not_after_seconds", notAfterMs / 1000, { listener, certificate });
  for (const { key: certificate, issued, failures } of acme) {
    set("rhumb_acme_orders_total", issued, { certificate, result: "issued" });
    set("rhumb_acme_orders_total", failures, { certificate, result: "failed" });
  }
  for (const cache of caches) readCache(cache, set);
  for (const [file, lines] of Object.entries(droppedLines))
    set("rhumb_access_log_dropped_lines_total", lines, { file });
  for (const { name: pool, isPanic, queued, backends } of pools) {
    set("rhumb_pool_panic", isPanic ? 1 : 0, { pool });
    set("rhumb_pool_queue_depth", queued, { pool });
    for (const state of BACKEND_STATE_NAMES.slice(1))
      set("rhumb_pool_backends", backends.filter((one) => one.state === state).length, { pool, state });
    for (const { key, state, weight, active, counters, latency } of backends) {
      const labels = { pool, backend: key };
      set("rhumb_backend_up", state === "active" ? 1 : 0, labels);
      set("rhumb_backend_state", BACKEND_STATE_NAMES.indexOf(state), labels);
      set("rhumb_backend_weight", weight, labels);
      set("rhumb_backend_active_connections", active, labels);
      for (const each of BACKEND_COUNTERS) {
        const slot = BACKEND_SLOTS[each];
        if (slot) set(slot.metric, counters[each] / (slot.per ?? 1), { ...labels, ...slot.labels });
      }
      if (latency === undefined) continue;
      setHistogram("rhumb_backend_request_duration_seconds", totalsOf(latency), labels);
      for (const [quantile, micros] of [
        ["0.5", latency.p50],
        ["0.95", latency.p95],
        ["0.99", latency.p99],
      ] as const)
        if (micros !== undefined) set("rhumb_backend_request_quantile_seconds", micros / 1e6, { ...labels, quantile });
    }
  }
}

function readCache(cache: CacheTotals, set: SetSample): void {
  const { store, objects, octets, maxOctets, hits, stale, misses, passed, waited } = cache;
  const { stored, revalidated, evicted, purged } = cache;
  set("rhumb_cache_objects", objects, { store });
  for (const [what, value] of Object.entries({ used: octets, limit: maxOctets }))
    set("rhumb_cache_octets", value, { store, what });
  for (const [result, value] of Object.entries({ hit: hits - stale, stale, miss: misses, pass: passed, wait: waited }))
    set("rhumb_cache_requests_total", value, { store, result });
  for (const [what, value] of Object.entries({ stored, revalidated, evicted, purged }))
    set("rhumb_cache_responses_total", value, { store, what });
}

function totalsOf({ totals }: Latency): HistogramTotals {
  let count = 0;
  const upTo: number[] = [];
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
    count += totals[bucket]!;
    if (LATENCY_OCTAVES.includes(bucket)) upTo.push(count);
  }
  return { upTo, count, sum: totals[LATENCY_BUCKETS]! / 1e6 };
}

export const isTotal = (name: BalancerMetricName): boolean => BALANCER_METRICS[name].type === "counter";
