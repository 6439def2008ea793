/**
 * What people are told of pools: the shape behind the API, `rhumb status` and the metrics.
 *
 * Units:   Unix ms; weights as configured, with fractions; counters since the process began.
 * @module
 */
import type { EjectionReason } from "#pool/outlier.ts";
import {
  BACKEND_COUNTERS,
  type BACKEND_STATE_NAMES,
  type BackendCounter,
  backendCounter,
} from "#state/backend-table.ts";
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";

export type BackendTotals = Readonly<Record<BackendCounter, number>>;

export type BackendView = {
  readonly spec: BackendSpec;
  /** `backend/web/10.0.0.1:80`, as health and overrides call it. */
  readonly target: string;
  readonly state: (typeof BACKEND_STATE_NAMES)[number];
  readonly cause: string;
  /** Since when it is in this state. */
  readonly sinceMs: number;
  /** Weight now, with slow start and a partial drain. */
  readonly weight: number;
  /** Share of its weight that slow start gives it; 100 when it is over. */
  readonly slowStartPercent: number;
  /** Connections and sessions, over all workers. */
  readonly active: number;
  readonly failuresInARow: number;
  readonly ejection: { readonly reason: EjectionReason; readonly untilMs: number; readonly times: number } | null;
  /** When what is left of its connections is reset. */
  readonly drainUntilMs: number | null;
  readonly totals: BackendTotals;
};

export type PoolView = {
  readonly spec: PoolSpec;
  readonly backends: readonly BackendView[];
  /** Health is ignored. */
  readonly isPanic: boolean;
  /** Nobody may be sent anywhere. */
  readonly isEmpty: boolean;
  readonly queued: number;
  /** Ejections since the start by reason, and those that `maxEjectionPercent` forbade. */
  readonly ejections: Readonly<Partial<Record<EjectionReason, number>>>;
  readonly ejectionOverflows: number;
};

export const sumCounter = (blocks: readonly Float64Array[], row: number, counter: number): number => {
  let sum = 0;
  for (const block of blocks) sum += block[backendCounter(row, counter)]!;
  return sum;
};

export const totalsOf = (blocks: readonly Float64Array[], row: number): BackendTotals =>
  Object.fromEntries(
    BACKEND_COUNTERS.map((name, counter) => [name, sumCounter(blocks, row, counter)]),
  ) as BackendTotals;
