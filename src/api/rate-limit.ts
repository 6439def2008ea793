/**
 * Token buckets by key, bounded: against guessed tokens and against probes on somebody's behalf.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { parseIp } from "#base/ip.ts";

export type RateLimit = {
  /** ms until `key` may go on; 0: it may now. Takes nothing. */
  waitMs(key: string): number;
  /** Takes one. */
  take(key: string): void;
};

/** `burst` at once, and one more every `refillMs`. The oldest of `maxKeys` keys is forgotten first. */
export function createRateLimit(options: {
  clock: Clock;
  burst: number;
  refillMs: number;
  maxKeys?: number;
}): RateLimit {
  const { clock, burst, refillMs, maxKeys = 4_096 } = options;
  const buckets = new Map<string, { left: number; atMs: number }>();
  const leftOf = (key: string): number => {
    const bucket = buckets.get(key);
    if (!bucket) return burst;
    return Math.min(burst, bucket.left + (clock.monotonicMs() - bucket.atMs) / refillMs);
  };
  return {
    waitMs: (key) => Math.max(0, Math.ceil((1 - leftOf(key)) * refillMs)),
    take(key) {
      const left = Math.max(0, leftOf(key) - 1);
      buckets.delete(key);
      buckets.set(key, { left, atMs: clock.monotonicMs() });
      if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value!);
    },
  };
}

/** An IPv6 peer owns a whole /64: it is one guesser. */
export function guesserKey(address: string | undefined): string {
  if (address === undefined) return "unix";
  const bytes = parseIp(address);
  return bytes?.length === 16 && !address.startsWith("::ffff:")
    ? Buffer.from(bytes.subarray(0, 8)).toString("hex")
    : address;
}
