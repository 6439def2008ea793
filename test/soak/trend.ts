/**
 * Whether memory stays flat, from samples of it.
 * @module
 */
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >>> 1] ?? 0;

/** The heaps of a young process grow until they were collected a few times: that part says nothing about leaks. */
const WARM_UP_SHARE = 0.4;
/** Collections come at different times, so medians of the same process differ by this much. */
const FLAT_SHARE = 0.1;

/** Compares the last third of the samples behind the warm-up with the first third of them. @param samples in MiB */
export function describeTrend(samples: readonly number[]): { isFlat: boolean; says: string } {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const third = Math.max(1, Math.floor(warm.length / 3));
  const early = median(warm.slice(0, third));
  const late = median(warm.slice(-third));
  const isFlat = warm.length > 0 && late <= early * (1 + FLAT_SHARE);
  return { isFlat, says: `memory went from ${Math.round(early)} to ${Math.round(late)} MiB` };
}
