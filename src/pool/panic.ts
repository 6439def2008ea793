/**
 * When a tier of a pool is in panic: so few of its backends are healthy that sending everything to them would bring those
 * down as well, and the rest is more likely misjudged than dead. Then health is ignored (Envoy's panic threshold).
 *
 * Owns:    the rule alone. Workers ask it at each pick (`places.ts`), the keeper for events and metrics.
 * @module
 */

/**
 * @param activeCount backends of the tier that are active
 * @param totalCount backends of the tier, those in maintenance or draining left out: an operator took them out
 * @param panicPercent share of active backends below which health is ignored; 0: only where none is active
 */
export function isPanic(activeCount: number, totalCount: number, panicPercent: number): boolean {
  if (totalCount === 0) return false;
  return activeCount === 0 || activeCount * 100 < panicPercent * totalCount;
}
