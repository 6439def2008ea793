/**
 * Health table: the one place that answers "is this target up?".
 *
 * Owns:    the layout of the table in shared memory, and how to read it.
 * Writer:  `health/publish.ts`, and nobody else. Readers: DNS workers, balancers, without locks.
 * Never:   probes, decides, or writes. It keeps what the quorum and the operator decided.
 * Units:   flip times in Unix seconds, RTT in µs, load share in permille of capacity.
 *
 * Header, then four 32-bit words per target (a reader can never see half of a word):
 *
 * | word | holds |
 * |---|---|
 * | 0 | verdict (bits 0–1), flags (2–4), override (5–7), ramp percent (8–15), weight percent (16–23) |
 * | 1 | earliest possible flip of the verdict, Unix seconds; 0 when the target is quiet |
 * | 2 | smoothed probe RTT in µs; 0 when never measured |
 * | 3 | load share in permille of capacity (bits 0–15); probe RTT above its 24 h baseline in 0.1 ms (bits 16–31) |
 *
 * A flip time is absolute, not "seconds from now", so that it stays true between two writes.
 * A target keeps its index for as long as the process lives.
 * @module
 */

/** Words before the first target. 0: epoch, moves on after each published change. 1: targets in use. 2: Unix second of the last write. 3: spare. */
export const HEALTH_HEADER_WORDS = 4;
export const HEALTH_WORDS_PER_TARGET = 4;
export const HEALTH_EPOCH_WORD = 0;
export const HEALTH_COUNT_WORD = 1;
export const HEALTH_WRITTEN_WORD = 2;

export const VERDICT = { unknown: 0, up: 1, down: 2, held: 3 } as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/** What an operator says; beats the verdict. `drain` serves `weight` percent of the target's share. */
export const OVERRIDE = { none: 0, up: 1, down: 2, drain: 3, ignoreHealth: 4 } as const;
export type Override = (typeof OVERRIDE)[keyof typeof OVERRIDE];

/** Evidence is old: no probe finished within three intervals. */
export const FLAG_STALE = 1 << 2;
/** Decided with fewer votes than wanted. */
const FLAG_LOW_CONFIDENCE = 1 << 3;
/** Held back from service after an outage (failback policy): probes pass, but the hold has not ended. */
export const FLAG_HOLD = 1 << 4;

export type TargetState = {
  verdict: Verdict;
  isStale: boolean;
  isLowConfidence: boolean;
  isHeldForFailback: boolean;
  override: Override;
  /** Share of its clients that a returning target gets, 0 to 100; 100 outside a ramp. */
  rampPercent: number;
  /** Share left by `drain=weight`, 0 to 100; 100 without an override. */
  weightPercent: number;
  /** Unix seconds of the earliest possible change; 0 when quiet. */
  flipAtSeconds: number;
  rttMicros: number;
  /** Load in permille of capacity. */
  loadPermille: number;
  /** How far the smoothed probe RTT lies above its own 24 h baseline, in units of 0.1 ms. */
  excessRttTenthsMs: number;
};

/** A table for `capacity` targets in shared memory, all of them unknown and quiet. */
export function createHealthTable(capacity: number): Uint32Array {
  const octets = (HEALTH_HEADER_WORDS + capacity * HEALTH_WORDS_PER_TARGET) * Uint32Array.BYTES_PER_ELEMENT;
  return new Uint32Array(new SharedArrayBuffer(octets));
}

export const healthWordIndex = (target: number): number => HEALTH_HEADER_WORDS + target * HEALTH_WORDS_PER_TARGET;

export function packStateWord(
  state: Pick<
    TargetState,
    "verdict" | "isStale" | "isLowConfidence" | "isHeldForFailback" | "override" | "rampPercent" | "weightPercent"
  >,
): number {
  const flags =
    (state.isStale ? FLAG_STALE : 0) |
    (state.isLowConfidence ? FLAG_LOW_CONFIDENCE : 0) |
    (state.isHeldForFailback ? FLAG_HOLD : 0);
  return (state.verdict | flags | (state.override << 5) | (state.rampPercent << 8) | (state.weightPercent << 16)) >>> 0;
}

export const packLoadWord = (loadPermille: number, excessRttTenthsMs: number): number =>
  ((Math.min(loadPermille, 0xffff) & 0xffff) | (Math.min(excessRttTenthsMs, 0xffff) << 16)) >>> 0;

/** Reads target `target` into `into`, which the caller reuses: nothing is allocated. */
export function readTarget(table: Uint32Array, target: number, into: TargetState): TargetState {
  const at = healthWordIndex(target);
  const word = Atomics.load(table, at);
  into.verdict = (word & 3) as Verdict;
  into.isStale = (word & FLAG_STALE) !== 0;
  into.isLowConfidence = (word & FLAG_LOW_CONFIDENCE) !== 0;
  into.isHeldForFailback = (word & FLAG_HOLD) !== 0;
  into.override = ((word >>> 5) & 7) as Override;
  into.rampPercent = (word >>> 8) & 0xff;
  into.weightPercent = (word >>> 16) & 0xff;
  into.flipAtSeconds = Atomics.load(table, at + 1);
  into.rttMicros = Atomics.load(table, at + 2);
  const load = Atomics.load(table, at + 3);
  into.loadPermille = load & 0xffff;
  into.excessRttTenthsMs = load >>> 16;
  return into;
}

export const emptyTargetState = (): TargetState => ({
  verdict: VERDICT.unknown,
  isStale: false,
  isLowConfidence: false,
  isHeldForFailback: false,
  override: OVERRIDE.none,
  rampPercent: 100,
  weightPercent: 100,
  flipAtSeconds: 0,
  rttMicros: 0,
  loadPermille: 0,
  excessRttTenthsMs: 0,
});

export const healthEpoch = (table: Uint32Array): number => Atomics.load(table, HEALTH_EPOCH_WORD);
