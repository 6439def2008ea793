/**
 * When things are due: a Poisson process, as requests of many independent clients are (Paxson and Floyd, "Wide-Area Traffic",
 * 1995: sessions of people arrive so). Due times depend on the seed alone, never on how slow answers are: the loop is open.
 * @module
 */
import type { Rng } from "#base/rng.ts";

export type Arrivals = {
  /** When the next one is due; Infinity where none ever is. */
  nextMs(): number;
  /** @returns when the oldest one that is due by now was due; undefined: none is */
  take(nowMs: number): number | undefined;
};

/** @param perSecond mean rate; 0: none */
export function createArrivals(perSecond: number, fromMs: number, rng: Rng): Arrivals {
  const gapMs = (): number => (perSecond > 0 ? (-Math.log(1 - rng()) * 1_000) / perSecond : Number.POSITIVE_INFINITY);
  let dueMs = fromMs + gapMs();
  return {
    nextMs: () => dueMs,
    take(nowMs) {
      if (dueMs > nowMs) return undefined;
      const taken = dueMs;
      dueMs += gapMs();
      return taken;
    },
  };
}
