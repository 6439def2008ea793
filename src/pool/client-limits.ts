/**
 * Limits on what one client, and all of them, may open at a listener: exact over all workers, in shared memory.
 *
 * Owns:    the layout of the shared table. A client is an IPv4 address or an IPv6 /64, at one listener. Its entry lies in
 *          one of the buckets, by a hash with a secret seed; each bucket and each listener has a lock, held for less
 *          than a µs. Every connection is counted, limits or not, so that limits may change at any time.
 * Rule:    where a bucket is full its next client is let in and not counted, which is counted: a table that is too small
 *          must not keep clients out.
 * Units:   steady ms of the calling thread. Threads have origins of their own; here all become the process's.
 * @module
 */
import { combine32, hashBytes, mix32 } from "#base/hash.ts";
import { parseIp, unmapIp } from "#base/ip.ts";
import type { Rng } from "#base/rng.ts";
import { type ListenerLimits, MAX_LISTENERS } from "#state/balancer.ts";

export type Admission = "admitted" | "listener-full" | "listener-rate" | "client-full" | "client-rate";

export type ClientLimits = {
  /** Takes a place for one more connection (UDP: session) of this client. @param address as the PROXY header or the socket gives it */
  admit(listener: number, limits: ListenerLimits, address: string, nowMs: number): Admission;
  /** Gives back what `admit` took, also where limits have changed since. */
  release(listener: number, limits: ListenerLimits, address: string): void;
};

export type SharedClientLimits = ClientLimits & {
  /** Connections at a listener now, over all workers. */
  connections(listener: number): number;
  /** Connections that were let in without asking for the client's limits, because the table was full; of all workers. */
  overflows(): number;
};

// ── layout, in words of 32 bits ──────────────────────────────────────────────────────────────────────────────────

const SEED_WORD = 0;
const OVERFLOWS_WORD = 1;
const HEADER_WORDS = 8;
/** Lock, connections, theoretical arrival time (a Float64). */
const LISTENER_WORDS = 4;
const COUNT = 1;
const LISTENER_TAT = 2;
const BUCKETS_AT = HEADER_WORDS + MAX_LISTENERS * LISTENER_WORDS;

const BUCKET_ENTRIES = 64;
/** Listener and family (0: free), two words of address, connections, theoretical arrival time. */
const ENTRY_WORDS = 6;
const ADDRESS = 1;
const ENTRY_COUNT = 3;
const ENTRY_TAT = 4;
/** A lock, and one that keeps the Float64 aligned. */
const BUCKET_HEAD_WORDS = 2;
const BUCKET_WORDS = BUCKET_HEAD_WORDS + BUCKET_ENTRIES * ENTRY_WORDS;

/** @param buckets of 64 clients each; a power of two */
export const clientLimitsOctets = (buckets: number): number => (BUCKETS_AT + buckets * BUCKET_WORDS) * 4;
/** Twice the room that 65,536 clients need, so that with as many hardly any bucket is full (Poisson, mean 32): 3 MiB. */
export const CLIENT_LIMITS_OCTETS = clientLimitsOctets(2_048);

// ── rates ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What sums of floating point numbers may be off by, in ms. */
const SLACK_MS = 1e-3;

/**
 * Generic cell rate algorithm (ITU-T I.371, appendix: virtual scheduling), which is a token bucket that needs one number.
 *
 * @param tat theoretical arrival time of the next connection, in ms
 * @returns the next one, or -1: too early
 */
export function nextArrival(tat: number, nowMs: number, perSecond: number, burst: number): number {
  const intervalMs = 1_000 / perSecond;
  // Further ahead than the burst reaches is what other limits have left, or another clock.
  const due = Math.min(Math.max(tat, nowMs), nowMs + burst * intervalMs);
  return due - nowMs > (burst - 1) * intervalMs + SLACK_MS ? -1 : due + intervalMs;
}

// ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────

const SPINS = 1_000;
const SLEEPS = 50;

/** A lock that is not let go for 50 ms was held by a thread that is no more, and is taken. */
export function lock(words: Int32Array, at: number): void {
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.compareExchange(words, at, 0, 1) === 0) return;
  for (let sleep = 0; sleep < SLEEPS; sleep++) {
    Atomics.wait(words, at, 1, 1);
    if (Atomics.compareExchange(words, at, 0, 1) === 0) return;
  }
}
export const unlock = (words: Int32Array, at: number): void => void Atomics.store(words, at, 0);

// ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────

/** From the clock of this thread to the one that the process has; `process.hrtime` counts from the same moment in all. */
export const threadOffsetMs = (): number => Number(process.hrtime.bigint()) / 1e6 - performance.now();

/**
 * @param shared zeros at first; of `CLIENT_LIMITS_OCTETS`, or fewer by `clientLimitsOctets`. May be zeroed at any time:
 *   all counts start anew then, and what is given back later counts for nothing.
 * @param options.rng for the seed, which only the first of all threads chooses
 * @param options.offsetMs added to `nowMs`, so that all threads mean the same time
 */
export function createClientLimits(
  shared: SharedArrayBuffer,
  options: { rng?: Rng; offsetMs?: number } = {},
): SharedClientLimits {
  const { rng = Math.random, offsetMs = threadOffsetMs() } = options;
  const words = new Int32Array(shared);
  const times = new Float64Array(shared, 0, Math.floor(shared.byteLength / 8));
  const buckets = Math.floor((words.length - BUCKETS_AT) / BUCKET_WORDS);
  /** Connections of this worker that found their bucket full, by client: they have nothing to give back. */
  const uncounted = new Map<string, number>();
  const client = { family: 0, high: 0, low: 0 };

  function seed(): number {
    const known = Atomics.load(words, SEED_WORD);
    if (known !== 0) return known;
    const chosen = 1 + Math.floor(rng() * 0x7ffffffe);
    return Atomics.compareExchange(words, SEED_WORD, 0, chosen) || chosen;
  }
  /** Sets `client`. @returns where its bucket begins */
  function locate(listener: number, address: string): number {
    readClient(address, client);
    client.family |= listener << 8;
    const hash = combine32(combine32(combine32(mix32(seed()), client.family), client.high), client.low);
    return BUCKETS_AT + (hash & (buckets - 1)) * BUCKET_WORDS;
  }
  /** @returns where the client's entry begins, or -1 */
  function find(bucket: number): number {
    const end = bucket + BUCKET_WORDS;
    for (let entry = bucket + BUCKET_HEAD_WORDS; entry < end; entry += ENTRY_WORDS)
      if (
        words[entry + ADDRESS + 1] === client.low &&
        words[entry] === client.family &&
        words[entry + ADDRESS] === client.high
      )
        return entry;
    return -1;
  }
  /** Takes an entry that is free, or whose client has no connection and its whole burst. @returns -1: there is none */
  function claim(bucket: number, nowMs: number): number {
    const end = bucket + BUCKET_WORDS;
    for (let entry = bucket + BUCKET_HEAD_WORDS; entry < end; entry += ENTRY_WORDS) {
      const isFree =
        words[entry] === 0 || (words[entry + ENTRY_COUNT] === 0 && times[(entry + ENTRY_TAT) / 2]! <= nowMs);
      if (!isFree) continue;
      words[entry] = client.family;
      words[entry + ADDRESS] = client.high;
      words[entry + ADDRESS + 1] = client.low;
      words[entry + ENTRY_COUNT] = 0;
      times[(entry + ENTRY_TAT) / 2] = 0;
      return entry;
    }
    return -1;
  }

  /** What comes of the client's own limits, under its bucket's lock. */
  function admitClient(limits: ListenerLimits, bucket: number, nowMs: number): Admission | "uncounted" {
    const known = find(bucket);
    const entry = known >= 0 ? known : claim(bucket, nowMs);
    if (entry < 0) return "uncounted";
    const count = words[entry + ENTRY_COUNT]!;
    if (limits.clientConnections > 0 && count >= limits.clientConnections) return "client-full";
    if (limits.clientPerSecond > 0) {
      const tat = (entry + ENTRY_TAT) / 2;
      const next = nextArrival(times[tat]!, nowMs, limits.clientPerSecond, Math.max(1, limits.clientBurst));
      if (next < 0) return "client-rate";
      times[tat] = next;
    }
    words[entry + ENTRY_COUNT] = count + 1;
    return "admitted";
  }
  function admitListener(limits: ListenerLimits, at: number, nowMs: number): Admission {
    const count = words[at + COUNT]!;
    if (count >= limits.maxConnections) return "listener-full";
    if (limits.acceptPerSecond > 0) {
      const tat = (at + LISTENER_TAT) / 2;
      // A second's worth may come at once.
      const next = nextArrival(times[tat]!, nowMs, limits.acceptPerSecond, Math.max(1, limits.acceptPerSecond));
      if (next < 0) return "listener-rate";
      times[tat] = next;
    }
    words[at + COUNT] = count + 1;
    return "admitted";
  }
  /** @param intervalMs what the rate of the client was charged, to give it back as well */
  function releaseClient(bucket: number, intervalMs: number): void {
    lock(words, bucket);
    const entry = find(bucket);
    if (entry >= 0) {
      const tat = (entry + ENTRY_TAT) / 2;
      times[tat] = Math.max(0, times[tat]! - intervalMs);
      if (words[entry + ENTRY_COUNT]! > 0) words[entry + ENTRY_COUNT]! -= 1;
      if (words[entry + ENTRY_COUNT] === 0 && times[tat] === 0) words[entry] = 0;
    }
    unlock(words, bucket);
  }
  /** @returns whether this client has a connection here that was not counted; it is forgotten */
  function wasUncounted(listener: number, address: string): boolean {
    if (uncounted.size === 0) return false;
    const key = `${listener} ${address}`;
    const count = uncounted.get(key);
    if (count === undefined) return false;
    if (count === 1) uncounted.delete(key);
    else uncounted.set(key, count - 1);
    return true;
  }

  return {
    admit(listener, limits, address, nowMs) {
      const now = nowMs + offsetMs;
      const bucket = locate(listener, address);
      lock(words, bucket);
      const own = admitClient(limits, bucket, now);
      unlock(words, bucket);
      if (own !== "admitted" && own !== "uncounted") return own;
      const at = listenerAt(listener);
      lock(words, at);
      const all = admitListener(limits, at, now);
      unlock(words, at);
      if (own === "uncounted") {
        if (all !== "admitted") return all;
        const key = `${listener} ${address}`;
        uncounted.set(key, (uncounted.get(key) ?? 0) + 1);
        if (limits.clientConnections > 0 || limits.clientPerSecond > 0) Atomics.add(words, OVERFLOWS_WORD, 1);
      } else if (all !== "admitted") {
        releaseClient(bucket, limits.clientPerSecond > 0 ? 1_000 / limits.clientPerSecond : 0);
      }
      return all;
    },
    release(listener, _limits, address) {
      const at = listenerAt(listener);
      lock(words, at);
      if (words[at + COUNT]! > 0) words[at + COUNT]! -= 1;
      unlock(words, at);
      if (!wasUncounted(listener, address)) releaseClient(locate(listener, address), 0);
    },
    connections: (listener) => Atomics.load(words, listenerAt(listener) + COUNT),
    overflows: () => Atomics.load(words, OVERFLOWS_WORD),
  };
}

/** For one thread. */
export const createClientLimitsMemory = (options?: { rng?: Rng }): SharedClientLimits =>
  createClientLimits(new SharedArrayBuffer(CLIENT_LIMITS_OCTETS), { ...options, offsetMs: 0 });

const listenerAt = (listener: number): number => HEADER_WORDS + listener * LISTENER_WORDS;

const IPV4 = 4;
const IPV6 = 6;
const NO_ADDRESS = 1;

/** The part of an address that makes the client: all of IPv4, 64 bits of IPv6. */
function readClient(address: string, client: { family: number; high: number; low: number }): void {
  const zone = address.indexOf("%");
  const parsed = parseIp(zone < 0 ? address : address.slice(0, zone));
  const bytes = parsed && unmapIp(parsed);
  client.family = bytes === undefined ? NO_ADDRESS : bytes.length === 4 ? IPV4 : IPV6;
  client.high = bytes ? word(bytes, 0) : hashBytes(Buffer.from(address)) | 0;
  client.low = bytes && bytes.length === 16 ? word(bytes, 4) : 0;
}
const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
