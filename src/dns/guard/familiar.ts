/**
 * Remembers what was seen again and again while things were quiet: the keys of resolvers, or of names that exist.
 *
 * Owns:    a fixed table. A key is familiar after it was seen in three different seconds, and stops being so when it
 *          stays away; one sighting, which is all that a flood of random keys leaves, is the first thing overwritten.
 * @module
 */
import { mix32 } from "#base/hash.ts";

const WAYS = 4;
const FAMILIAR_SCORE = 3;
const MAX_SCORE = 200;
/** A point is lost for this long without a sighting: a resolver comes back every TTL, seldom later. */
const FADE_SECONDS = 120;

export type Familiar = {
  /** Notes a sighting. @returns whether the key was familiar before it */
  see(key: number, nowSeconds: number): boolean;
  has(key: number): boolean;
  /** The `count` best known keys, in ascending order. */
  best(count: number, nowSeconds: number): Uint32Array;
};

/** @param slots rounded up to a power of two; @param seed random per process, against chosen collisions */
export function createFamiliar(slots: number, seed: number): Familiar {
  const sets = 2 ** Math.ceil(Math.log2(Math.max(1, slots / WAYS)));
  const keys = new Uint32Array(sets * WAYS);
  const scores = new Uint8Array(sets * WAYS); // 0: free
  const seenSeconds = new Int32Array(sets * WAYS);
  const firstOf = (key: number): number => (mix32(key ^ seed) & (sets - 1)) * WAYS;

  return {
    see(key, nowSeconds) {
      const first = firstOf(key);
      let victim = first;
      for (let slot = first; slot < first + WAYS; slot++) {
        const score = scores[slot]!;
        if (keys[slot] === key && score > 0) {
          const awaySeconds = nowSeconds - seenSeconds[slot]!;
          if (awaySeconds !== 0) {
            const faded = Math.max(0, score - Math.floor(awaySeconds / FADE_SECONDS));
            scores[slot] = Math.min(MAX_SCORE, faded + 1);
            seenSeconds[slot] = nowSeconds;
          }
          return score >= FAMILIAR_SCORE;
        }
        if (score < scores[victim]!) victim = slot;
      }
      // What is familiar gives way only when it has been away for as long as its points are worth.
      if (scores[victim]! >= FAMILIAR_SCORE && nowSeconds - seenSeconds[victim]! < scores[victim]! * FADE_SECONDS)
        return false;
      keys[victim] = key;
      scores[victim] = 1;
      seenSeconds[victim] = nowSeconds;
      return false;
    },
    has(key) {
      const first = firstOf(key);
      for (let slot = first; slot < first + WAYS; slot++) {
        if (keys[slot] === key && scores[slot]! >= FAMILIAR_SCORE) return true;
      }
      return false;
    },
    best(count, nowSeconds) {
      const known: { key: number; score: number }[] = [];
      for (let slot = 0; slot < keys.length; slot++) {
        const score = scores[slot]! - Math.floor((nowSeconds - seenSeconds[slot]!) / FADE_SECONDS);
        if (score >= FAMILIAR_SCORE) known.push({ key: keys[slot]!, score });
      }
      known.sort((a, b) => b.score - a.score);
      return Uint32Array.from(known.slice(0, count), ({ key }) => key).sort();
    },
  };
}
