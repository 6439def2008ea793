/**
 * On which terms a region is evacuated: what an operator may say, and what holds where nothing was said.
 *
 * Units:   ms; weights in percent; shares 0 to 1.
 * @module
 */
import type { Evacuation } from "#state/evacuation.ts";

export type EvacuationTerms = Evacuation["terms"];
/** What an operator may say of them. */
export type EvacuationWish = {
  readonly [Key in keyof Omit<EvacuationTerms, "ramp" | "isForced">]?: EvacuationTerms[Key] | undefined;
};

/** Half of the clients first: what the other regions cannot take shows while it can still be stopped. */
const WEIGHTS = [50, 0];
/** As after an outage (D13). */
const RAMP = [10, 25, 50, 100];
const TAIL_SHARE = 0.01;
const MIN_TAIL_TIMEOUT_MS = 300_000;
/** Requests and connections that live this long are cut: what the region is left for will not wait for ever. */
const DRAIN_TIMEOUT_MS = 120_000;

/** @param ttlMaxSeconds the longest TTL of a service that gives the region to clients */
export function termsOf(wish: EvacuationWish, ttlMaxSeconds: number, hasPrefixes: boolean): EvacuationTerms {
  const ttlMs = ttlMaxSeconds * 1_000;
  return {
    weights: wish.weights ?? WEIGHTS,
    ramp: RAMP,
    weightWaitMs: wish.weightWaitMs ?? ttlMs,
    tailShare: wish.tailShare ?? TAIL_SHARE,
    tailTimeoutMs: wish.tailTimeoutMs ?? Math.max(2 * ttlMs, MIN_TAIL_TIMEOUT_MS),
    drainTimeoutMs: wish.drainTimeoutMs ?? DRAIN_TIMEOUT_MS,
    withdraws: wish.withdraws ?? hasPrefixes,
    isForced: false,
  };
}

/** @returns what is wrong with the weights of a way down; undefined: nothing */
export function faultOfWeights(weights: readonly number[]): string | undefined {
  if (weights.at(-1) !== 0) return "the last weight must be 0";
  const isFalling = weights.every((weight, index) => weight < (weights[index - 1] ?? 100));
  return isFalling ? undefined : "weights must fall, each below the one before and below 100";
}
