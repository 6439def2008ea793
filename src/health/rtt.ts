/**
 * Smoothed RTT of one target, and how far it lies above what is usual for it.
 *
 * Smoothed: EWMA with a gain of 1/8, as TCP does it (RFC 6298 §2). Usual: each hour leaves its lowest smoothed value; the
 * baseline is the lower median of the last 24. So one bad hour does not move it, a lasting change becomes usual after half a
 * day, and a target costs at most 24 numbers. In its first hour, the lowest value so far is the baseline.
 * @module
 */
const GAIN = 1 / 8;
const HOUR_MS = 3_600_000;
const HOURS = 24;

export type Rtt = {
  /** µs; 0: never measured. */
  smoothedMicros: number;
  baselineMicros: number;
  hourStartMs: number;
  hourLowMicros: number;
  /** Lows of past hours, oldest first. */
  readonly lows: number[];
};

export const createRtt = (nowMs: number): Rtt => ({
  smoothedMicros: 0,
  baselineMicros: 0,
  hourStartMs: nowMs,
  hourLowMicros: 0,
  lows: [],
});

function lowerMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1]!;
}

/** Takes a measurement in, in place: this runs for every probe. */
export function addRtt(rtt: Rtt, micros: number, nowMs: number): void {
  rtt.smoothedMicros = rtt.smoothedMicros === 0 ? micros : rtt.smoothedMicros + (micros - rtt.smoothedMicros) * GAIN;
  if (nowMs - rtt.hourStartMs >= HOUR_MS) {
    if (rtt.hourLowMicros > 0) rtt.lows.push(rtt.hourLowMicros);
    if (rtt.lows.length > HOURS) rtt.lows.shift();
    rtt.hourStartMs = nowMs;
    rtt.hourLowMicros = 0;
    if (rtt.lows.length > 0) rtt.baselineMicros = lowerMedian(rtt.lows);
  }
  if (rtt.hourLowMicros === 0 || rtt.smoothedMicros < rtt.hourLowMicros) rtt.hourLowMicros = rtt.smoothedMicros;
  if (rtt.lows.length === 0) rtt.baselineMicros = rtt.hourLowMicros;
}

export const excessTenthsMs = (rtt: Rtt): number =>
  Math.max(0, Math.round((rtt.smoothedMicros - rtt.baselineMicros) / 100));
