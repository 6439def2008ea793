/**
 * How many beacons a network may send: token buckets in a table of fixed size.
 *
 * Owns:    the buckets. Networks that fall into one bucket share it; which do, nobody outside can know (SipHash with a
 *          secret of this process).
 * Units:   per second; ms of one clock, from long after its 0 on, so that buckets begin full.
 * @module
 */
import { type SipKey, sipHash24 } from "#base/siphash.ts";

const BUCKETS = 16_384;
/** What a network that was quiet may send at once. */
const BURST = 10;

export type Rates = {
  /** @returns whether one more of this network is let in */
  take(network: string, perSecond: number, nowMs: number): boolean;
  /** Likewise of all together; a second's worth at once. */
  takeAny(perSecond: number, nowMs: number): boolean;
};

export function createRates(key: SipKey): Rates {
  // The last bucket is that of all together.
  const left = new Float64Array(BUCKETS + 1);
  const atMs = new Float64Array(BUCKETS + 1);
  const text = Buffer.alloc(64);
  const hash = new Uint8Array(8);
  const takeFrom = (slot: number, perSecond: number, burst: number, nowMs: number): boolean => {
    const filled = Math.min(burst, left[slot]! + (Math.max(0, nowMs - atMs[slot]!) / 1_000) * perSecond);
    atMs[slot] = nowMs;
    left[slot] = filled >= 1 ? filled - 1 : filled;
    return filled >= 1;
  };
  return {
    take(network, perSecond, nowMs) {
      sipHash24(key, text, text.write(network, "latin1"), hash, 0);
      return takeFrom((hash[0]! | (hash[1]! << 8)) & (BUCKETS - 1), perSecond, BURST, nowMs);
    },
    takeAny: (perSecond, nowMs) => takeFrom(BUCKETS, perSecond, Math.max(1, perSecond), nowMs),
  };
}
