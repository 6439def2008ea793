/**
 * What all nodes have learnt → what the latency map is built from. Pure.
 *
 * Owns:    which rows count: those of regions that exist, with enough samples left after they have faded. Precedence between
 *          sources is that of `geo/learned-latency.ts`.
 * Bounds:  `MAX_MERGED` rows, those with the most samples.
 * Units:   µs, Unix ms.
 * @module
 */
import { HALF_LIFE_MS as BEACON_HALF_LIFE_MS, MIN_SAMPLES as MIN_BEACONS } from "#rum/aggregate.ts";
import { HALF_LIFE_MS as CONNECTION_HALF_LIFE_MS, MIN_SAMPLES as MIN_CONNECTIONS } from "#rum/connection-times.ts";
import type { LatencyShare, LatencySource } from "#state/shared.ts";

export const MAX_MERGED = 100_000;
/** Finer than the slack of any policy that makes sense; coarse enough that a map is not built anew for nothing. */
const STEP_MICROS = 1_000;

const FADES: Readonly<Record<LatencySource, { readonly halfLifeMs: number; readonly minSamples: number }>> = {
  // Half of what they needed to be shared: rows do not come and go with each sample.
  connections: { halfLifeMs: CONNECTION_HALF_LIFE_MS, minSamples: MIN_CONNECTIONS / 2 },
  beacons: { halfLifeMs: BEACON_HALF_LIFE_MS, minSamples: MIN_BEACONS / 2 },
};

export type MergedLatency = {
  readonly network: string;
  readonly region: string;
  readonly rttMicros: number;
  readonly by: LatencySource;
  readonly atMs: number;
};

/** @param shares of nodes, with the time at which each wrote its own */
export function mergeLatency(
  shares: readonly { readonly atMs: number; readonly rows: LatencyShare["rows"] }[],
  isRegion: (id: string) => boolean,
  nowMs: number,
): readonly MergedLatency[] {
  const merged: (MergedLatency & { readonly weight: number })[] = [];
  for (const share of shares) {
    for (const { network, region, rttMicros, by, samples, ageMs } of share.rows) {
      const fade = FADES[by];
      if (fade === undefined || !isRegion(region) || !(rttMicros > 0) || !(samples > 0)) continue;
      // A clock that is ahead makes nothing fresher than now.
      const atMs = Math.min(nowMs, share.atMs) - Math.max(0, ageMs);
      const weight = samples * 2 ** (-(nowMs - atMs) / fade.halfLifeMs);
      const rounded = Math.max(1, Math.round(rttMicros / STEP_MICROS)) * STEP_MICROS;
      if (weight >= fade.minSamples) merged.push({ network, region, rttMicros: rounded, by, atMs, weight });
    }
  }
  return merged
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MAX_MERGED)
    .map(({ weight: _, ...row }) => row);
}
