/**
 * What steering knows of load, as the API shows it.
 * @module
 */
import type { LoadView } from "#api/views.ts";
import type { Spreading } from "#app/spreading.ts";
import type { LoadControl } from "#health/load-control.ts";

const percentOf = (permille: number): number => Math.round(permille) / 10;

export function loadView(load: LoadControl, spreading: Spreading | undefined): LoadView {
  const { regions, drain } = load.view();
  return {
    regions: regions.map(({ measuredPermille, predictedPermille, effectivePermille, balancers, ...region }) => ({
      ...region,
      measuredPercent: measuredPermille === null ? null : percentOf(measuredPermille),
      predictedPercent: predictedPermille === null ? null : percentOf(predictedPermille),
      effectivePercent: percentOf(effectivePermille),
      balancers: balancers.map((balancer) => ({ ...balancer })),
    })),
    drain: { ttlSeconds: drain.ttlSeconds, stretchingPercent: Math.round(drain.stretching * 100) },
    spread: spreading?.view() ?? null,
  };
}
