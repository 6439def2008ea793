/**
 * Rates of requests by key, exact over all workers, in shared memory.
 *
 * Owns:    the layout of the table: buckets of entries, each bucket with a lock that is held for less than a µs. A key is 64
 *          bits of SipHash with a secret of the process: nobody can choose keys that collide.
 * Rule:    where a bucket is full, the entry that is nearest to its whole burst gives way: memory is bounded, and who is
 *          forgotten so has least to gain from it.
 * Units:   steady ms of the calling thread, made the process's.
 * @module
 */
import { randomBytes } from "node:crypto";
import { combine32, mix32 } from "#base/hash.ts";
import { sipHash24 } from "#base/siphash.ts";
import { lock, threadOffsetMs, unlock } from "#pool/client-limits.ts";

export type RateLimits = {
  /**
   * One more request of a key.
   * @param limit tells the limits apart: of a listener and a rule
   * @returns 0: it is within the limit; else after how many ms the next one will be
   */
  take(limit: number, key: string, perSecond: number, burst: number, nowMs: number): number;
};

// ── layout, in words of 32 bits ──────────────────────────────────────────────────────────────────────────────────

const KEY_STATE = 0;
const KEY_AT = 2;
const HEADER_WORDS = 8;
const BUCKET_ENTRIES = 16;
/** 64 bits of hash (0: free), theoretical arrival time (a Float64). */
const ENTRY_WORDS = 4;
/** A lock, and a word that keeps the Float64 aligned. */
const BUCKET_HEAD_WORDS = 2;
const BUCKET_WORDS = BUCKET_HEAD_WORDS + BUCKET_ENTRIES * ENTRY_WORDS;

/** @param buckets of 16 keys each; a power of two */
export const rateLimitsOctets = (buckets: number): number => (HEADER_WORDS + buckets * BUCKET_WORDS) * 4;
/** 65,536 keys: 1 MiB. */
export const RATE_LIMITS_OCTETS = rateLimitsOctets(4_096);

/** What sums of floating point numbers may be off by, in ms. */
const SLACK_MS = 1e-3;
const MAX_KEY_OCTETS = 1_024;

const KEY_WANTED = 0;
const KEY_COMING = 1;
const KEY_THERE = 2;

/** The secret that all threads hash with: the first of them chooses it. */
function readSecret(words: Int32Array): Uint32Array {
  if (Atomics.compareExchange(words, KEY_STATE, KEY_WANTED, KEY_COMING) === KEY_WANTED) {
    const chosen = randomBytes(16);
    for (let word = 0; word < 4; word++) words[KEY_AT + word] = chosen.readInt32LE(word * 4);
    Atomics.store(words, KEY_STATE, KEY_THERE);
    Atomics.notify(words, KEY_STATE);
  }
  while (Atomics.load(words, KEY_STATE) === KEY_COMING) Atomics.wait(words, KEY_STATE, KEY_COMING, 10);
  return new Uint32Array(words.buffer, KEY_AT * 4, 4).slice();
}

/**
 * @param shared zeros at first; of `RATE_LIMITS_OCTETS`, or other by `rateLimitsOctets`
 * @param options.offsetMs added to `nowMs`, so that all threads mean the same time
 */
export function createRateLimits(shared: SharedArrayBuffer, options: { offsetMs?: number } = {}): RateLimits {
  const { offsetMs = threadOffsetMs() } = options;
  const words = new Int32Array(shared);
  const times = new Float64Array(shared, 0, Math.floor(shared.byteLength / 8));
  const buckets = Math.floor((words.length - HEADER_WORDS) / BUCKET_WORDS);
  const secret = readSecret(words);
  const scratch = Buffer.alloc(4 + MAX_KEY_OCTETS);
  const digest = Buffer.alloc(8);

  /** Where the entry of this hash is, or the one that it takes. */
  function entryOf(bucket: number, low: number, high: number): number {
    let victim = bucket + BUCKET_HEAD_WORDS;
    const end = bucket + BUCKET_WORDS;
    for (let entry = victim; entry < end; entry += ENTRY_WORDS) {
      if (words[entry] === low && words[entry + 1] === high) return entry;
      if (times[(entry + 2) / 2]! < times[(victim + 2) / 2]!) victim = entry;
    }
    words[victim] = low;
    words[victim + 1] = high;
    times[(victim + 2) / 2] = 0;
    return victim;
  }

  return {
    take(limit, key, perSecond, burst, nowMs) {
      const now = nowMs + offsetMs;
      scratch.writeUInt32LE(limit >>> 0, 0);
      const length = 4 + scratch.write(key, 4, MAX_KEY_OCTETS, "utf8");
      sipHash24(secret, scratch, length, digest, 0);
      const low = digest.readInt32LE(0);
      const high = digest.readInt32LE(4) || 1;
      const bucket = HEADER_WORDS + (combine32(mix32(low), high) & (buckets - 1)) * BUCKET_WORDS;
      const intervalMs = 1_000 / perSecond;
      lock(words, bucket);
      const at = (entryOf(bucket, low, high) + 2) / 2;
      // Further ahead than the burst reaches is what a limit that has changed since has left.
      const due = Math.min(Math.max(times[at]!, now), now + burst * intervalMs);
      const waitMs = due - now - (burst - 1) * intervalMs;
      if (waitMs <= SLACK_MS) times[at] = due + intervalMs;
      unlock(words, bucket);
      return waitMs <= SLACK_MS ? 0 : waitMs;
    },
  };
}

/** For one thread. */
export const createRateLimitsMemory = (): RateLimits =>
  createRateLimits(new SharedArrayBuffer(RATE_LIMITS_OCTETS), { offsetMs: 0 });
