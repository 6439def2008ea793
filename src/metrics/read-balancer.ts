/**
 * The balancer's part of a scrape: what its workers count and its keeper says.
 * @module
 */
import { BACKEND_SLOTS, BALANCER_METRICS, type BalancerMetricName, LISTENER_SLOTS } from "#metrics/catalog-balancer.ts";
import { BACKEND_COUNTERS, BACKEND_STATE_NAMES, type BackendCounter } from "#state/backend-table.ts";
import { LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";

type StateName = (typeof BACKEND_STATE_NAMES)[number];

export type BalancerSource = {
  readonly engine: { readonly name: string; readonly why: string } | undefined;
  readonly workers: Readonly<Record<string, number>>;
  readonly listeners: readonly {
    readonly name: string;
    readonly counters: Readonly<Record<ListenerCounter, number>>;
  }[];
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
    }[];
  }[];
};

/** Sets one sample, to a total where the metric is a counter. */
export type SetSample = (name: BalancerMetricName, value: number, labels: Record<string, string>) => void;

export function readBalancer({ engine, workers, listeners, pools }: BalancerSource, set: SetSample): void {
  if (engine) set("rhumb_balancer_engine_info", 1, { engine: engine.name, why: engine.why });
  for (const [kind, serving] of Object.entries(workers)) set("rhumb_balancer_workers", serving, { kind });
  for (const { name, counters } of listeners) {
    for (const each of LISTENER_COUNTERS) {
      const slot = LISTENER_SLOTS[each];
      if (slot) set(slot.metric, counters[each], { listener: name, ...slot.labels });
    }
  }
  for (const { name: pool, isPanic, queued, backends } of pools) {
    set("rhumb_pool_panic", isPanic ? 1 : 0, { pool });
    set("rhumb_pool_queue_depth", queued, { pool });
    for (const state of BACKEND_STATE_NAMES.slice(1))
      set("rhumb_pool_backends", backends.filter((one) => one.state === state).length, { pool, state });
    for (const { key, state, weight, active, counters } of backends) {
      const labels = { pool, backend: key };
      set("rhumb_backend_up", state === "active" ? 1 : 0, labels);
      set("rhumb_backend_state", BACKEND_STATE_NAMES.indexOf(state), labels);
      set("rhumb_backend_weight", weight, labels);
      set("rhumb_backend_active_connections", active, labels);
      for (const each of BACKEND_COUNTERS) {
        const slot = BACKEND_SLOTS[each];
        if (slot) set(slot.metric, counters[each] / (slot.per ?? 1), { ...labels, ...slot.labels });
      }
    }
  }
}

export const isTotal = (name: BalancerMetricName): boolean => BALANCER_METRICS[name].type === "counter";
