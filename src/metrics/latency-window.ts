/**
 * Latencies of the last minute, by backend, from what workers count since they began.
 *
 * Owns:    the counts of some moments of that minute, of rows that have any.
 * Units:   µs.
 * @module
 */
import { LATENCY_BUCKETS, latencyQuantile, latencyRow } from "#state/latency.ts";

/** Between two moments; whoever owns the window calls `tick` so often. */
export const LATENCY_TICK_MS = 5_000;
const MOMENTS = 12;

export type Latency = {
  /** Of the last minute; undefined: there was no request. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
  /** Since the process began: counts by bucket, and the sum of all times as the last. */
  readonly totals: Float64Array;
};

export type LatencyWindow = {
  /** @returns undefined: the row has never had a request */
  of(row: number): Latency | undefined;
  /** @param rows that are configured; others are forgotten */
  tick(rows: Iterable<number>): void;
};

/** @param blocks one a worker */
export function createLatencyWindow(blocks: () => readonly Float64Array[]): LatencyWindow {
  let moments = new Map<number, Float64Array[]>();

  function sumOf(row: number): Float64Array | undefined {
    const sum = new Float64Array(LATENCY_BUCKETS + 1);
    for (const block of blocks()) {
      const counts = latencyRow(block, row);
      for (let word = 0; word < sum.length; word++) sum[word]! += counts[word]!;
    }
    return sum[LATENCY_BUCKETS]! > 0 ? sum : undefined;
  }
  return {
    of(row) {
      const totals = sumOf(row);
      if (totals === undefined) return undefined;
      const before = moments.get(row)?.[0];
      const recent = before === undefined ? totals : totals.map((count, word) => count - before[word]!);
      const quantile = (share: number) => latencyQuantile(recent, share);
      return { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), totals };
    },
    tick(rows) {
      const next: typeof moments = new Map();
      for (const row of rows) {
        const totals = sumOf(row);
        if (totals === undefined) continue;
        next.set(row, [...(moments.get(row) ?? [new Float64Array(totals.length)]), totals].slice(-MOMENTS));
      }
      moments = next;
    },
  };
}
