/**
 * Response rate limiting: what one network may be sent per second, so that we are no good as a mirror for spoofed
 * queries. Prefix lengths and growth of the limits are those of Knot DNS's `mod-rrl`.
 *
 * Owns:    one fixed table of buckets. Nothing is allocated after it is made.
 * Never:   looks at names. A limit per name multiplies what an attacker gets by the number of names that he knows;
 *          what is told apart instead is the kind of response, so that a flood of NXDOMAIN, or of errors, with a
 *          resolver's address as its source does not use up the answers of that resolver.
 * Units:   times in ms; rates in responses per second.
 *
 * A bucket is one number: the time at which it will have drained (the "theoretical arrival time" of GCRA, ITU-T I.371).
 * It is over its limit when that lies more than `BURST_MS` ahead. A bucket whose time has passed says nothing and may be
 * overwritten without loss, which is why random spoofed sources hardly pollute the table: each lives for
 * `1 s / rate`, that is 2 ms at the default, in the narrowest bucket and for µs in the wider ones. Where a set is full
 * of living buckets, the one that is nearest to drained goes, so that heavy hitters stay.
 * @module
 */
import { mix32 } from "#base/hash.ts";
import type { Client } from "#state/respond.ts";

/**
 * Knot DNS 3.4 and Knot Resolver 6, `rrl`: the wider the prefix, the more hosts share it, and the more it may get.
 * For /18, /20, /24 and /32 of IPv4, and for /32, /48, /56, /64 and /128 of IPv6.
 */
const IPV4_RATE_FACTORS = [768, 256, 32, 1];
const IPV6_RATE_FACTORS = [64, 4, 3, 2, 1];
const MAX_PREFIXES = 5;
/** Kinds of response that may be told apart. */
const MAX_KINDS = 8;

/** A bucket holds this much of its rate, so that a resolver that restarts with an empty cache gets its answers. */
const BURST_MS = 2_500;
/**
 * Buckets that one hash may fall into: a set is one cache line of 64 octets, five times of 8 octets and five tags of 4.
 * Clients are many, so most look-ups miss the caches; this way each misses once.
 */
const WAYS = 5;
const LINE_OCTETS = 64;
const TIMES_PER_LINE = LINE_OCTETS / Float64Array.BYTES_PER_ELEMENT;
const TAGS_PER_LINE = LINE_OCTETS / Int32Array.BYTES_PER_ELEMENT;
/** The tags stand behind the times. */
const FIRST_TAG = (WAYS * Float64Array.BYTES_PER_ELEMENT) / Int32Array.BYTES_PER_ELEMENT;

export type RateLimit = {
  /**
   * Counts one response and says whether it is too much. A response that is too much is not counted, so a bucket that
   * is full passes exactly its rate.
   * @param kind 0 to 7: buckets of different kinds are apart
   */
  isOver(client: Client, kind: number, nowMs: number): boolean;
};

/**
 * @param options.ratePerSecond responses to one address, at least 1; a wider prefix gets a multiple of it
 * @param options.tableSize buckets, rounded up to a power of two
 * @param options.seed random per process, so that nobody can choose addresses whose buckets collide
 */
export function createRateLimit(options: { ratePerSecond: number; tableSize: number; seed: number }): RateLimit {
  const sets = 2 ** Math.ceil(Math.log2(Math.max(1, options.tableSize / WAYS)));
  /** The upper bits of a hash are its set: of a product they are the ones that all bits of the factor reach. */
  const setShift = 31 - Math.log2(sets);
  const lines = new ArrayBuffer(sets * LINE_OCTETS);
  const tags = new Int32Array(lines);
  const drainedAtMs = new Float64Array(lines);
  const intervalMs = (factor: number) => 1_000 / (options.ratePerSecond * factor);
  const [ms18, ms20, ms24, ms32] = IPV4_RATE_FACTORS.map(intervalMs) as [number, number, number, number];
  const ipv6IntervalsMs = Float64Array.from(IPV6_RATE_FACTORS, intervalMs);
  const hashes = new Int32Array(MAX_PREFIXES);
  const slots = new Int32Array(MAX_PREFIXES);
  const nextMs = new Float64Array(MAX_PREFIXES);
  /**
   * Multiply-shift hashing (Dietzfelbinger and others, "A reliable randomized algorithm for the closest-pair problem",
   * 1997): with random odd factors two prefixes share a set no more often than by chance, whoever chooses them.
   */
  const multipliers = Int32Array.from({ length: MAX_PREFIXES }, (_, index) => mix32(options.seed + index) | 1);
  /** By kind and family. */
  const salts = Int32Array.from({ length: MAX_KINDS * 2 }, (_, index) => mix32(~options.seed + index));
  /** Times are kept relative to the first one: ms since 1970 leave a double too few bits for intervals of a few µs. */
  const startMs = Float64Array.of(Number.NaN);

  /** @returns the slot (in `drainedAtMs`) of the bucket with this hash */
  function slotOf(hash: number): number {
    const tag = hash === 0 ? 1 : hash;
    const set = (hash >>> 1) >>> setShift;
    const firstTag = set * TAGS_PER_LINE + FIRST_TAG;
    const firstTime = set * TIMES_PER_LINE;
    return tags[firstTag] === tag ? firstTime : slotBehind(firstTime, firstTag, tag);
  }

  /**
   * @returns when the bucket in `slot` will have drained with one response more. Further ahead than any bucket gets means
   *   that the clock was set back: start again rather than limit for that long.
   */
  function drainedAfter(slot: number, nowMs: number, fullMs: number, addedMs: number): number {
    const drainedMs = drainedAtMs[slot]!;
    return (drainedMs > nowMs && drainedMs <= fullMs + BURST_MS ? drainedMs : nowMs) + addedMs;
  }

  function isOver(client: Client, kind: number, unixMs: number): boolean {
    if (Number.isNaN(startMs[0]!)) startMs[0] = unixMs;
    const nowMs = unixMs - startMs[0]!;
    const fullMs = nowMs + BURST_MS;
    if (client.isIpv6) return isIpv6Over(client.address, salts[kind * 2 + 1]!, nowMs, fullMs);
    // Written out rather than as a loop: this is asked for each response, and costs half as much.
    const word = wordAt(client.address, 0);
    const salt = salts[kind * 2]!;
    const slot18 = slotOf(Math.imul((word & 0xffffc000) ^ salt, multipliers[0]!));
    const slot20 = slotOf(Math.imul((word & 0xfffff000) ^ salt, multipliers[1]!));
    const slot24 = slotOf(Math.imul((word & 0xffffff00) ^ salt, multipliers[2]!));
    const slot32 = slotOf(Math.imul(word ^ salt, multipliers[3]!));
    const next18 = drainedAfter(slot18, nowMs, fullMs, ms18);
    const next20 = drainedAfter(slot20, nowMs, fullMs, ms20);
    const next24 = drainedAfter(slot24, nowMs, fullMs, ms24);
    const next32 = drainedAfter(slot32, nowMs, fullMs, ms32);
    if (next18 > fullMs || next20 > fullMs || next24 > fullMs || next32 > fullMs) return true;
    drainedAtMs[slot18] = next18;
    drainedAtMs[slot20] = next20;
    drainedAtMs[slot24] = next24;
    drainedAtMs[slot32] = next32;
    return false;
  }

  function isIpv6Over(address: Uint8Array, salt: number, nowMs: number, fullMs: number): boolean {
    const second = wordAt(address, 4);
    const site = mix32(wordAt(address, 0) ^ salt) | 0;
    // Each length has a multiplier of its own: /48 and /64 with the same bits set are different buckets.
    hashes[0] = Math.imul(site, multipliers[0]!);
    hashes[1] = Math.imul(site ^ (second & 0xffff0000), multipliers[1]!);
    hashes[2] = Math.imul(site ^ (second & 0xffffff00), multipliers[2]!);
    const network = Math.imul(site ^ second, multipliers[3]!);
    hashes[3] = network;
    const host = mix32(network ^ wordAt(address, 8)) ^ wordAt(address, 12);
    hashes[4] = Math.imul(host, multipliers[4]!);
    let isFull = false;
    for (let index = 0; index < MAX_PREFIXES; index++) {
      const slot = slotOf(hashes[index]!);
      const next = drainedAfter(slot, nowMs, fullMs, ipv6IntervalsMs[index]!);
      if (next > fullMs) isFull = true;
      slots[index] = slot;
      nextMs[index] = next;
    }
    if (isFull) return true;
    for (let index = 0; index < MAX_PREFIXES; index++) drainedAtMs[slots[index]!] = nextMs[index]!;
    return false;
  }

  /**
   * Looks behind the first bucket of a set.
   * @returns the slot of the bucket with this tag; where there was none, that which drains first, empty
   */
  function slotBehind(firstTime: number, firstTag: number, tag: number): number {
    for (let way = 1; way < WAYS; way++) if (tags[firstTag + way] === tag) return firstTime + way;
    let victim = 0;
    for (let way = 1; way < WAYS; way++) {
      if (drainedAtMs[firstTime + way]! < drainedAtMs[firstTime + victim]!) victim = way;
    }
    tags[firstTag + victim] = tag;
    drainedAtMs[firstTime + victim] = Number.NEGATIVE_INFINITY;
    return firstTime + victim;
  }

  return { isOver };
}

const wordAt = (address: Uint8Array, at: number): number =>
  (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!;
