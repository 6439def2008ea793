/**
 * What a worker knows of its members' response times, and what it thinks of those it knows nothing about.
 *
 * Owns:    a moving average per member whose window is time, not samples: a sample after Δ counts 1 − e^(−Δ/decay).
 *          Without samples an average fades by e^(−t/decay), so that a member that was slow once is tried again.
 * Units:   µs, steady ms.
 * @module
 */
import { indexesBefore } from "#balance/available.ts";

/** As Finagle and Linkerd have it. */
export const DECAY_MS = 10_000;

export type Latencies = {
  update(keys: readonly string[]): void;
  hasHistory(index: number): boolean;
  /** µs as last averaged; what it has faded to since is up to `fading`. */
  average(index: number): number;
  /** e^(−t/decay) since the last sample. */
  fading(index: number, nowMs: number): number;
  /** When the last sample came. */
  sampledMs(index: number): number;
  observe(index: number, micros: number, nowMs: number): void;
  /** Somebody is on the way to a member without history. */
  asked(index: number, nowMs: number): void;
  /** Without history, and the first answer is still awaited (for so long as an average would last). */
  isAwaited(index: number, nowMs: number): boolean;
};

/** @param isPeak a sample above the average becomes the average (Finagle's peak EWMA): slow is believed at once, fast is not */
export function createLatencies(isPeak: boolean): Latencies {
  let before: readonly string[] = [];
  let averages = new Float64Array(0);
  /** NaN: never. */
  let sampled = new Float64Array(0);
  let asked = new Float64Array(0);
  return {
    update(keys) {
      const indexes = indexesBefore(before, keys);
      const carry = (column: Float64Array): Float64Array<ArrayBuffer> =>
        Float64Array.from(indexes, (index) => (index < 0 ? Number.NaN : column[index]!));
      averages = carry(averages);
      sampled = carry(sampled);
      asked = carry(asked);
      before = keys;
    },
    hasHistory: (index) => averages[index]! >= 0,
    average: (index) => averages[index]!,
    fading: (index, nowMs) => Math.exp(Math.min(0, sampled[index]! - nowMs) / DECAY_MS),
    sampledMs: (index) => sampled[index]!,
    observe(index, micros, nowMs) {
      const average = averages[index]!;
      if (!(average >= 0) || (isPeak && micros > average)) averages[index] = micros;
      else {
        const weight = Math.exp(Math.min(0, sampled[index]! - nowMs) / DECAY_MS);
        averages[index] = average * weight + micros * (1 - weight);
      }
      sampled[index] = nowMs;
    },
    asked(index, nowMs) {
      if (!(averages[index]! >= 0)) asked[index] = nowMs;
    },
    isAwaited: (index, nowMs) => !(averages[index]! >= 0) && nowMs - asked[index]! < DECAY_MS,
  };
}
