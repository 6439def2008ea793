/**
 * How long requests took, by backend: workers → metrics, without messages.
 *
 * Owns:    the layout: one block a worker in shared memory, `LATENCY_BUCKETS` counts a row; the worker is its single writer.
 *          Bounds lie a quarter of an octave apart, so that a quantile is right within a tenth of itself.
 * Units:   µs. Counts wrap around at 2^32: readers take differences.
 * @module
 */

const FIRST_MICROS = 64;
const PER_OCTAVE = 4;
const OCTAVES = 20;
/** The last one has no upper bound: longer than 67 s. */
export const LATENCY_BUCKETS = OCTAVES * PER_OCTAVE + 2;

export const createLatencyBlock = (rows: number): Uint32Array =>
  new Uint32Array(new SharedArrayBuffer(rows * LATENCY_BUCKETS * Uint32Array.BYTES_PER_ELEMENT));

/** The longest time that is counted in a bucket. */
export const latencyBoundMicros = (bucket: number): number =>
  bucket === LATENCY_BUCKETS - 1 ? Number.POSITIVE_INFINITY : FIRST_MICROS * 2 ** (bucket / PER_OCTAVE);

/** The first bucket whose bound is not below this time. */
export function latencyBucket(micros: number): number {
  if (micros <= FIRST_MICROS) return 0;
  const bucket = Math.ceil(Math.log2(micros / FIRST_MICROS) * PER_OCTAVE);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

export function noteLatency(block: Uint32Array, row: number, micros: number): void {
  block[row * LATENCY_BUCKETS + latencyBucket(micros)]! += 1;
}

/**
 * @param counts of one row, by bucket
 * @param share 0.99 of the 99th percentile
 * @returns µs, within its bucket in proportion; undefined: nothing was counted
 */
export function latencyQuantile(counts: ArrayLike<number>, share: number): number | undefined {
  let total = 0;
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) total += counts[bucket]!;
  if (total === 0) return undefined;
  let left = share * total;
  for (let bucket = 0; bucket < LATENCY_BUCKETS - 1; bucket++) {
    const here = counts[bucket]!;
    if (here > 0 && left <= here) {
      const low = bucket === 0 ? 0 : latencyBoundMicros(bucket - 1);
      return low + (latencyBoundMicros(bucket) - low) * (left / here);
    }
    left -= here;
  }
  return latencyBoundMicros(LATENCY_BUCKETS - 2);
}
