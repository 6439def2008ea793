/**
 * How long a prefix that was withdrawn stays away (after RFC 2439, route flap damping, done by the one who flaps).
 *
 * Each withdrawal adds one to a penalty that halves with each `halfLifeMs`; the first costs `baseMs`, each further one
 * doubles it, up to `capMs`. A drain that an operator asked for is no flap.
 *
 * Units:   ms of a steady clock.
 * @module
 */
import type { AnycastSpec } from "#state/anycast.ts";

export type Penalty = { readonly value: number; readonly atMs: number };
export const NO_PENALTY: Penalty = { value: 0, atMs: 0 };

type Terms = AnycastSpec["holdDown"];

export const penaltyAt = (penalty: Penalty, nowMs: number, { halfLifeMs }: Terms): number =>
  penalty.value * 0.5 ** ((nowMs - penalty.atMs) / halfLifeMs);

/** One more withdrawal. @returns the penalty with it, and how long the prefix is held */
export function addFlap(
  penalty: Penalty,
  nowMs: number,
  terms: Terms,
): { readonly penalty: Penalty; readonly holdMs: number } {
  const value = penaltyAt(penalty, nowMs, terms) + 1;
  return { penalty: { value, atMs: nowMs }, holdMs: Math.min(terms.capMs, terms.baseMs * 2 ** (value - 1)) };
}
