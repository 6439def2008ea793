/**
 * Slow start: a backend that comes (back) into service takes its share step by step, so that cold caches and fresh
 * connections do not bring it down again. Pure.
 *
 * Envoy's formula: `weight × max(minPercent, (t / window)^(1 / aggression))`. Aggression 1 is a straight line; above 1 the
 * share grows fast at first. Hash algorithms pick from tables made of configured weights, so that nodes agree; there
 * nothing ramps.
 *
 * Units:   ms since the backend came into service; weights in thousandths where the name says so.
 * @module
 */
import { hasKey } from "#pool/client-key.ts";
import type { AlgorithmName, SlowStartSpec } from "#state/balancer.ts";

/** Whether weights between 0 and the configured one mean anything to it. */
export const takesFractions = (algorithm: AlgorithmName): boolean => !hasKey(algorithm);

export const isRamping = (elapsedMs: number, { windowMs }: SlowStartSpec): boolean => elapsedMs < windowMs;

/** @returns 0 to 1; 1 once the window is over, or without one */
export function slowStartFactor(elapsedMs: number, spec: SlowStartSpec): number {
  if (!isRamping(elapsedMs, spec)) return 1;
  const grown = (Math.max(0, elapsedMs) / spec.windowMs) ** (1 / spec.aggression);
  return Math.min(1, Math.max(spec.minPercent / 100, grown));
}

/**
 * The weight that counts now, in thousandths. It is 0 only where nothing is to come: the smallest share of a weight stays
 * above 0.
 */
export function effectiveMilli(weight: number, factor: number, sharePercent: number, algorithm: AlgorithmName): number {
  if (weight === 0 || sharePercent === 0) return 0;
  if (!takesFractions(algorithm)) return weight * 1_000;
  return Math.max(1, Math.round(weight * 10 * factor * sharePercent));
}
