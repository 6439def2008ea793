/**
 * Circuit breakers: what this worker itself has seen of a pool's backends lately, long before probes can say so.
 *
 * Owns:    one state per backend that fails: closed (no entry) → open → probation → closed, or open again for twice as long.
 *          A backend that was out by its checks or by an operator, and is active again, starts closed (`places.ts`).
 * Never:   refuses by itself: `places.ts` passes over backends whose breaker is open, and still takes one where nothing
 *          else is left.
 * Units:   steady ms. A backend is named by its row.
 * @module
 */
import type { BreakerSpec } from "#state/balancer.ts";

type Breaker = {
  failuresInARow: number;
  /** Times it has opened without a success in between; 0: closed. */
  openings: number;
  /** Until when nobody is let through. */
  shutUntilMs: number;
  /** One connection is on its way to find out. */
  isOnProbation: boolean;
};

export type Breakers = {
  /** Whether a connection may go there: the breaker is closed, or it is time for one on probation. */
  allows(row: number, nowMs: number): boolean;
  /**
   * A connection goes there. If it is the one on probation, it has as long as the breaker was open to say how it went;
   * if it says nothing (its client left, say), the next one is let through.
   */
  taken(row: number, nowMs: number): void;
  succeeded(row: number): void;
  /** @returns whether this opened it */
  failed(row: number, nowMs: number): boolean;
  isOpen(row: number): boolean;
  apply(spec: BreakerSpec): void;
  /** Forgets all backends but these. */
  keep(rows: ReadonlySet<number>): void;
};

export function createBreakers(initial: BreakerSpec): Breakers {
  let spec = initial;
  const breakers = new Map<number, Breaker>();
  const openMs = (openings: number): number => Math.min(spec.maxMs, spec.baseMs * 2 ** Math.min(openings - 1, 30));

  return {
    allows(row, nowMs) {
      const breaker = breakers.size === 0 ? undefined : breakers.get(row);
      return !breaker || breaker.openings === 0 || nowMs >= breaker.shutUntilMs;
    },
    taken(row, nowMs) {
      const breaker = breakers.size === 0 ? undefined : breakers.get(row);
      if (!breaker || breaker.openings === 0 || nowMs < breaker.shutUntilMs) return;
      breaker.isOnProbation = true;
      breaker.shutUntilMs = nowMs + openMs(breaker.openings);
    },
    succeeded(row) {
      if (breakers.size > 0) breakers.delete(row);
    },
    failed(row, nowMs) {
      const breaker = breakers.get(row) ?? { failuresInARow: 0, openings: 0, shutUntilMs: 0, isOnProbation: false };
      breakers.set(row, breaker);
      breaker.failuresInARow += 1;
      // Connections that were under way when it opened, or went there for want of another backend, say nothing new.
      if (breaker.openings === 0 ? breaker.failuresInARow < spec.failures : !breaker.isOnProbation) return false;
      breaker.openings += 1;
      breaker.isOnProbation = false;
      breaker.shutUntilMs = nowMs + openMs(breaker.openings);
      return true;
    },
    isOpen: (row) => (breakers.get(row)?.openings ?? 0) > 0,
    apply(next) {
      spec = next;
    },
    keep(rows) {
      for (const row of breakers.keys()) if (!rows.has(row)) breakers.delete(row);
    },
  };
}
