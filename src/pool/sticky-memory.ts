/**
 * Sticky memory: which backend a client had, in shared memory, so that all workers of a process remember alike.
 *
 * A client's connections land on any worker. Were each worker to remember for itself, a client would get as many
 * backends as there are workers; and picking by a hash of the client where nothing is remembered does not mend that: a
 * worker that meets the client after the set of backends has changed would pick another one. So there is one table.
 *
 * Owns:    the table's layout: buckets of seven entries, each with a lock; a client belongs to one bucket.
 * Writer:  all workers. An entry is read and written under its bucket's lock, for some tens of nanoseconds; a worker that
 *          died with the lock loses it to the next who asks.
 * Bounds:  `maxEntries` rounded up to whole buckets; a full bucket forgets its least recently used client.
 * Units:   time in ticks of 64 ms of Unix time (workers' steady clocks do not begin together), which wrap after 8 years.
 * @module
 */
import { mix32 } from "#base/hash.ts";

const ENTRIES_PER_BUCKET = 7;
const ENTRY_WORDS = 4;
/** Two cache lines: the lock in word 0, three words spare, seven entries. */
const BUCKET_WORDS = 32;
const FIRST_ENTRY = 4;
/** Words of an entry: two hashes of the client (64 bits: a mix-up is out of question), the backend, when last used. */
const TAG = 0;
const CHECK = 1;
const BACKEND = 2;
const USED = 3;

const TICK_MS = 64;
/** Looks at a lock before its holder is given a chance to run, ms of such a chance, and how many of them before it counts as dead. */
const SPINS = 1_000;
const YIELD_MS = 1;
const YIELDS = 20;

/** What is remembered where nothing is: `backendHash` never gives it. */
export const NO_BACKEND = 0;

export type StickyMemory = {
  /** @returns the hash of the backend that the client has, and keeps it for another `ttlMs`; `NO_BACKEND`: unknown */
  recall(client: string, nowMs: number): number;
  /**
   * Remembers another backend, unless somebody was faster.
   * @param seen what `recall` said; the entry is written only where it still says so
   * @returns the backend that the client has now: `backend`, or that of who was faster
   */
  remember(client: string, backend: number, seen: number, nowMs: number): number;
};

export function createStickyTable(maxEntries: number): Int32Array {
  const buckets = Math.max(1, Math.ceil(maxEntries / ENTRIES_PER_BUCKET));
  return new Int32Array(new SharedArrayBuffer(buckets * BUCKET_WORDS * Int32Array.BYTES_PER_ELEMENT));
}

/** Whether a table is of the size that `createStickyTable(maxEntries)` gives: else a new one is due. */
export const isStickyTableFor = (table: Int32Array, maxEntries: number): boolean =>
  table.length === Math.max(1, Math.ceil(maxEntries / ENTRIES_PER_BUCKET)) * BUCKET_WORDS;

/** Stands for a backend in the table; by its key, because rows may be given to other backends. */
export function backendHash(key: string): number {
  return tagOf(key) || 1;
}

export function createStickyMemory(table: Int32Array, ttlMs: number): StickyMemory {
  const buckets = table.length / BUCKET_WORDS;

  /** Where the client's entry begins, or -1. */
  function find(bucket: number, tag: number, check: number, tick: number): number {
    for (let entry = 0; entry < ENTRIES_PER_BUCKET; entry++) {
      const at = bucket + FIRST_ENTRY + entry * ENTRY_WORDS;
      if (table[at + TAG] !== tag || table[at + CHECK] !== check || table[at + BACKEND] === NO_BACKEND) continue;
      return ageMs(table[at + USED]!, tick) < ttlMs ? at : -1;
    }
    return -1;
  }

  /** The entry that the client gets: its own, an empty one, or the one that was not used for longest. */
  function room(bucket: number, tag: number, check: number, tick: number): number {
    let oldest = -1;
    let oldestMs = -1;
    for (let entry = 0; entry < ENTRIES_PER_BUCKET; entry++) {
      const at = bucket + FIRST_ENTRY + entry * ENTRY_WORDS;
      if (table[at + TAG] === tag && table[at + CHECK] === check) return at;
      const unusedMs = table[at + BACKEND] === NO_BACKEND ? Number.POSITIVE_INFINITY : ageMs(table[at + USED]!, tick);
      if (unusedMs > oldestMs) {
        oldest = at;
        oldestMs = unusedMs;
      }
    }
    return oldest;
  }

  return {
    recall(client, nowMs) {
      const tag = tagOf(client);
      const check = checkOf(client);
      const tick = tickOf(nowMs);
      const bucket = ((tag >>> 0) % buckets) * BUCKET_WORDS;
      lock(table, bucket);
      const at = find(bucket, tag, check, tick);
      const backend = at < 0 ? NO_BACKEND : table[at + BACKEND]!;
      if (at >= 0) table[at + USED] = tick;
      unlock(table, bucket);
      return backend;
    },
    remember(client, backend, seen, nowMs) {
      const tag = tagOf(client);
      const check = checkOf(client);
      const tick = tickOf(nowMs);
      const bucket = ((tag >>> 0) % buckets) * BUCKET_WORDS;
      lock(table, bucket);
      const found = find(bucket, tag, check, tick);
      const has = found < 0 ? NO_BACKEND : table[found + BACKEND]!;
      if (has === seen) {
        const at = found < 0 ? room(bucket, tag, check, tick) : found;
        table[at + TAG] = tag;
        table[at + CHECK] = check;
        table[at + BACKEND] = backend;
        table[at + USED] = tick;
      }
      unlock(table, bucket);
      return has === seen ? backend : has;
    },
  };
}

const tickOf = (nowMs: number): number => Math.floor(nowMs / TICK_MS) | 0;
/** Time since a tick. A clock that was set back makes entries look new, not ancient. */
const ageMs = (used: number, tick: number): number => Math.max(0, (tick - used) | 0) * TICK_MS;

function lock(table: Int32Array, at: number): void {
  for (let yields = 0; yields < YIELDS; yields++) {
    for (let spins = 0; spins < SPINS; spins++) if (Atomics.compareExchange(table, at, 0, 1) === 0) return;
    Atomics.wait(table, at, 1, YIELD_MS);
  }
  Atomics.store(table, at, 1);
}
function unlock(table: Int32Array, at: number): void {
  Atomics.store(table, at, 0);
}

/** Two hashes that have nothing to do with each other: FNV-1a, and the same with the factor of MurmurHash2. No allocation. */
const tagOf = (text: string): number => hash32(text, 0x811c9dc5, 0x01000193);
const checkOf = (text: string): number => hash32(text, 0x2f6b1d35, 0x5bd1e995);
function hash32(text: string, seed: number, factor: number): number {
  let hash = seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), factor);
  return mix32(hash) | 0;
}
