/**
 * How long it takes from an outage to the health tables of all nodes that say so: engines as they are, on a clock moved by
 * hand, with starts and outage at random phases of the interval.
 *
 * Units:   ms.
 */
import { createSeededRng } from "#base/rng.ts";
import { VERDICT } from "#state/health-table.ts";
import { type Answer, snapshotOf } from "./bed.ts";
import { createVantages } from "./vantages.ts";

const INTERVAL_MS = 5_000;
const WARM_MS = 25_000;
const ADDRESS = "192.0.2.1";

/** One-way time between nodes. */
export const DELAY_MS = 100;

/** @returns the time of each trial, shortest first */
export function simulateDetection(vantages: number, answer: Answer, trials: number, seed: number): number[] {
  const rng = createSeededRng(seed);
  const names = Array.from({ length: vantages }, (_, index) => `ns${index + 1}`);
  const snapshot = snapshotOf({ east: [ADDRESS], west: ["192.0.2.2"] });
  const tookMs = Array.from({ length: trials }, (_, trial) => {
    const net = createVantages(names, snapshot, {
      delayMs: DELAY_MS,
      seed: seed * 1_000 + trial,
      startWithinMs: INTERVAL_MS,
    });
    net.clock.advance(WARM_MS + rng() * INTERVAL_MS);
    const failedMs = net.clock.monotonicMs();
    net.answer(ADDRESS, answer);
    let publishedMs = 0;
    for (const bed of net.all) {
      let isDown = false;
      bed.health.onChange(() => {
        if (isDown || bed.row(0).verdict !== VERDICT.down) return;
        isDown = true;
        publishedMs = net.clock.monotonicMs();
      });
    }
    net.clock.advance(20_000);
    if (net.all.some((bed) => bed.row(0).verdict !== VERDICT.down))
      throw new Error(`trial ${trial}: not down after 20 s`);
    for (const bed of net.all) void bed.health.close();
    return publishedMs - failedMs;
  });
  return tookMs.sort((a, b) => a - b);
}

/** The value that `share` of the sorted values do not exceed. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
