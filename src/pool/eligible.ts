/**
 * Which backends of a pool may be picked now, and with which weight: the column `effective` of its members.
 *
 * In this order, the first that gives anybody wins:
 * 1. active backends; in a tier in panic (`panic.ts`) also those that are not. A tier of which nothing is active is not in
 *    panic: the next tier takes over while it has what is active.
 * 2. with nothing active: backends that were not probed yet (ruling 11: a last resort).
 * 3. with none of those either: backends that are down or ejected, where the pool fails open.
 *
 * Never:   gives a draining backend, or one in maintenance: what an operator says is not undone (ruling 7).
 * @module
 */
import { isPanic } from "#pool/panic.ts";
import { BACKEND_STATE, BACKEND_WORD, type BackendState, backendState, backendWord } from "#state/backend-table.ts";
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";

export type Standing = "healthy" | "unknown" | "fail-open" | "none";

/** What a backend is to those who pick, its configuration considered. */
export const stateOf = (table: Int32Array, backend: BackendSpec): BackendState =>
  backend.isEnabled ? backendState(table, backend.target) : BACKEND_STATE.maint;

/** Left to health: not taken out by an operator. */
const isCounted = (state: BackendState): boolean =>
  state === BACKEND_STATE.active ||
  state === BACKEND_STATE.unknown ||
  state === BACKEND_STATE.down ||
  state === BACKEND_STATE.ejected;

/** @param effective one number per backend of `spec`, written over */
export function fillEffective(
  spec: Pick<PoolSpec, "backends" | "panicPercent" | "isFailOpen">,
  table: Int32Array,
  effective: Float64Array,
): Standing {
  const states = spec.backends.map((backend) => stateOf(table, backend));
  const tiers = new Map<number, { active: number; total: number }>();
  for (const [index, { priority }] of spec.backends.entries()) {
    if (!isCounted(states[index]!)) continue;
    const tier = tiers.get(priority) ?? { active: 0, total: 0 };
    tiers.set(priority, tier);
    tier.total += 1;
    if (states[index] === BACKEND_STATE.active) tier.active += 1;
  }
  const isInPanic = (priority: number): boolean => {
    const { active, total } = tiers.get(priority)!;
    return active > 0 && isPanic(active, total, spec.panicPercent);
  };
  /** @returns whether anybody may be picked */
  const fill = (weigh: (backend: BackendSpec, state: BackendState) => number): boolean => {
    let isAny = false;
    for (const [index, backend] of spec.backends.entries()) {
      effective[index] = weigh(backend, states[index]!);
      if (effective[index]! > 0) isAny = true;
    }
    return isAny;
  };

  const healthy = (backend: BackendSpec, state: BackendState): number => {
    if (state === BACKEND_STATE.active)
      return Atomics.load(table, backendWord(backend.target, BACKEND_WORD.weightMilli)) / 1000;
    return isCounted(state) && isInPanic(backend.priority) ? backend.weight : 0;
  };
  const only = (...wanted: readonly BackendState[]) => {
    return (backend: BackendSpec, state: BackendState) => (wanted.includes(state) ? backend.weight : 0);
  };
  if (fill(healthy)) return "healthy";
  if (fill(only(BACKEND_STATE.unknown))) return "unknown";
  if (spec.isFailOpen && fill(only(BACKEND_STATE.down, BACKEND_STATE.ejected))) return "fail-open";
  effective.fill(0);
  return "none";
}
