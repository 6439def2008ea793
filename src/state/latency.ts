/**
 * How long requests took, by backend: workers → metrics, without messages.
 *
 * Owns:    the layout: one block a worker in shared memory, and in it for each row `LATENCY_BUCKETS` counts and the sum of all
 *          times; the worker is its single writer. Bounds lie a quarter of an octave apart, so that a quantile is right
 *          within a tenth of itself.
 * Units:   µs. Float64: exact up to 2^53, so no wrap-around.
 * @module
 */

const FIRST_MICROS = 64;
const PER_OCTAVE = 4;
const OCTAVES = 20;
/** The last one has no upper bound: longer than 67 s. */
export const LATENCY_BUCKETS = OCTAVES * PER_OCTAVE + 2;

/** Counts, and the sum. */
const ROW_WORDS = LATENCY_BUCKETS + 1;

export const createLatencyBlock = (rows: number): Float64Array =>
  new Float64Array(new SharedArrayBuffer(rows * ROW_WORDS * Float64Array.BYTES_PER_ELEMENT));

/** Of one row: its counts by bucket, and the sum of all times as the last. */
export const latencyRow = (block: Float64Array, row: number): Float64Array =>
  block.subarray(row * ROW_WORDS, (row + 1) * ROW_WORDS);

/** The longest time that is counted in a bucket. */
export const latencyBoundMicros = (bucket: number): number =>
  bucket === LATENCY_BUCKETS - 1 ? Number.POSITIVE_INFINITY : FIRST_MICROS * 2 ** (bucket / PER_OCTAVE);

/** The first bucket whose bound is not below this time. */
export function latencyBucket(micros: number): number {
  if (micros <= FIRST_MICROS) return 0;
  const bucket = Math.ceil(Math.log2(micros / FIRST_MICROS) * PER_OCTAVE);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

export function noteLatency(block: Float64Array, row: number, micros: number): void {
  const at = row * ROW_WORDS;
  block[at + latencyBucket(micros)]! += 1;
  block[at + LATENCY_BUCKETS]! += micros;
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
