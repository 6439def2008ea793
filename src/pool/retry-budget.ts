/**
 * Budget for retries: while all is well each connection that fails may try elsewhere; when much fails, retries would
 * double the load at the worst time, so they may only be a share of all tries (as Finagle's RetryBudget).
 *
 * Owns:    tries and retries of the last `windowMs`, in slices of a tenth of it. One budget per pool and worker.
 * Units:   steady ms.
 * @module
 */
import type { RetrySpec } from "#state/balancer.ts";

const SLICES = 10;

export type RetryBudget = {
  /** A first try. */
  tried(nowMs: number): void;
  /** Takes one retry out of the budget. @returns false: there is none left */
  take(nowMs: number): boolean;
  apply(spec: RetrySpec): void;
};

export function createRetryBudget(initial: RetrySpec): RetryBudget {
  let spec = initial;
  /** Per slice; `sums` is over all of them. */
  const tries = new Uint32Array(SLICES);
  const retries = new Uint32Array(SLICES);
  const sums = { tries: 0, retries: 0 };
  /** Number of the slice in which time is now, counted from 0 ms. */
  let slice = 0;

  /** Moves on to the slice of now; what is older than the window falls out. @returns its index */
  function turn(nowMs: number): number {
    const now = Math.floor((nowMs * SLICES) / spec.windowMs);
    if (now > slice) {
      for (let step = Math.min(SLICES, now - slice); step > 0; step--) {
        const at = (now - step + 1) % SLICES;
        sums.tries -= tries[at]!;
        sums.retries -= retries[at]!;
        tries[at] = 0;
        retries[at] = 0;
      }
      slice = now;
    }
    return slice % SLICES;
  }

  return {
    tried(nowMs) {
      tries[turn(nowMs)]! += 1;
      sums.tries += 1;
    },
    take(nowMs) {
      const at = turn(nowMs);
      const share = ((sums.tries + 1) * spec.budgetPercent) / 100;
      if (sums.retries + 1 > Math.max(share, (spec.minPerSecond * spec.windowMs) / 1000)) return false;
      tries[at]! += 1;
      sums.tries += 1;
      retries[at]! += 1;
      sums.retries += 1;
      return true;
    },
    apply(next) {
      if (next.windowMs !== spec.windowMs) {
        tries.fill(0);
        retries.fill(0);
        sums.tries = 0;
        sums.retries = 0;
        slice = 0;
      }
      spec = next;
    },
  };
}
