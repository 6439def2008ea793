/**
 * Remembers what was seen again and again while things were quiet: the keys of resolvers, or of names that exist.
 *
 * Owns:    a fixed table. A key is familiar after it was seen in three different seconds, and stops being so when it
 *          stays away; one sighting, which is all that a flood of random keys leaves, is the first thing overwritten.
 * @module
 */
import { mix32 } from "#base/hash.ts";

const WAYS = 4;
const SLOT_WORDS = 4;
const SET_WORDS = WAYS * SLOT_WORDS;
const KEY = 0;
const SCORE = 1;
const SEEN = 2;
const FAMILIAR_SCORE = 3;
const MAX_SCORE = 200;
/** A point is lost for this long without a sighting: a resolver comes back every TTL, seldom later. */
const FADE_SECONDS = 120;

/** Keys are int32: a larger number would be an object of its own wherever it is handed on. */
export type Familiar = {
  /** Notes a sighting. @returns whether the key was familiar before it */
  see(key: number, nowSeconds: number): boolean;
  has(key: number): boolean;
  /** The `count` best known keys, as uint32 in ascending order. */
  best(count: number, nowSeconds: number): Uint32Array;
};

/** @param slots rounded up to a power of two; @param seed random per process, against chosen collisions */
export function createFamiliar(slots: number, seed: number): Familiar {
  const sets = 2 ** Math.ceil(Math.log2(Math.max(1, slots / WAYS)));
  /** Per slot: key, score (0: free), second of the last sighting. The slots of a set lie side by side. */
  const words = new Int32Array(sets * SET_WORDS);
  const setOf = (key: number): number => (mix32(key ^ seed) & (sets - 1)) * SET_WORDS;

  /** Notes a sighting of a key that is not in its first slot, or not yet in this second. */
  function note(key: number, set: number, nowSeconds: number): boolean {
    let victim = set;
    for (let slot = set; slot < set + SET_WORDS; slot += SLOT_WORDS) {
      const score = words[slot + SCORE]!;
      if (score > 0 && words[slot + KEY] === key) {
        const awaySeconds = nowSeconds - words[slot + SEEN]!;
        if (awaySeconds !== 0) {
          const faded = Math.max(0, score - Math.floor(awaySeconds / FADE_SECONDS));
          words[slot + SCORE] = Math.min(MAX_SCORE, faded + 1);
          words[slot + SEEN] = nowSeconds;
        }
        return score >= FAMILIAR_SCORE;
      }
      if (score < words[victim + SCORE]!) victim = slot;
    }
    // What is familiar gives way only when it has been away for as long as its points are worth.
    const score = words[victim + SCORE]!;
    if (score >= FAMILIAR_SCORE && nowSeconds - words[victim + SEEN]! < score * FADE_SECONDS) return false;
    words[victim + KEY] = key;
    words[victim + SCORE] = 1;
    words[victim + SEEN] = nowSeconds;
    return false;
  }

  return {
    see(key, nowSeconds) {
      const set = setOf(key);
      // A busy key is seen many times in a second, and lies where it was put first.
      if (words[set + KEY] === key && words[set + SEEN] === nowSeconds) return words[set + SCORE]! >= FAMILIAR_SCORE;
      return note(key, set, nowSeconds);
    },
    has(key) {
      const set = setOf(key);
      for (let slot = set; slot < set + SET_WORDS; slot += SLOT_WORDS) {
        if (words[slot + KEY] === key && words[slot + SCORE]! >= FAMILIAR_SCORE) return true;
      }
      return false;
    },
    best(count, nowSeconds) {
      const known: { key: number; score: number }[] = [];
      for (let slot = 0; slot < words.length; slot += SLOT_WORDS) {
        const score = words[slot + SCORE]! - Math.floor((nowSeconds - words[slot + SEEN]!) / FADE_SECONDS);
        if (score >= FAMILIAR_SCORE) known.push({ key: words[slot + KEY]!, score });
      }
      known.sort((a, b) => b.score - a.score);
      return Uint32Array.from(known.slice(0, count), ({ key }) => key).sort();
    },
  };
}
