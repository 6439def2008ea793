/**
 * What distance means for steering: the bias of `nearest`, and the distance prior of `latency`.
 *
 * Owns:    the formulas. `classify.ts` folds clients by them and the filters decide by them, so both stay in step: two
 *          clients of one class never get different orders.
 * Units:   km; ms of round-trip time.
 * @module
 */

/** A bias of 20 percent makes a region look 20 percent nearer; a negative one makes it look farther. */
export const biasedKm = (distanceKm: number, biasPercent: number): number => distanceKm * (1 - biasPercent / 100);

/**
 * Steps in which `latency` tells distances apart: 100 km up to 1,000 km, 250 km up to 5,000 km, then 500 km. A far
 * step is worth 7.5 ms of prior, which is less than the default slack; and few steps make few classes.
 */
export function quantiseKm(distanceKm: number): number {
  const step = distanceKm < 1_000 ? 100 : distanceKm < 5_000 ? 250 : 500;
  return Math.round(distanceKm / step) * step;
}

/** Light covers 200 km of fibre per ms; there and back, with paths half as long again as the great circle. */
const MS_PER_KM = (2 / 200) * 1.5;
/** Access network and servers, the same for all regions. */
const BASE_MS = 5;

/** Round-trip time that distance makes likely, in ms, for `latency` where nothing was measured (ruling 6). */
export const priorRttMs = (distanceKm: number): number => BASE_MS + quantiseKm(distanceKm) * MS_PER_KM;
