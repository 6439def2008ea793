/**
 * Randomness comes in as an argument. Production hands in `Math.random`, tests a seeded generator.
 * Answers never depend on it: selection is a hash (`base/hash.ts`).
 * @module
 */
/** @returns a number in [0, 1) */
export type Rng = () => number;

/** Mulberry32: small, fast, full period of 2^32; good enough for jitter and test data, not for secrets. */
export function createSeededRng(seed: number): Rng {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
