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
import { combine32, mix32 } from "#base/hash.ts";
import type { Client } from "#state/respond.ts";

/** Knot DNS 3.4 and Knot Resolver 6, `rrl`: the wider the prefix, the more hosts share it, and the more it may get. */
const IPV4_PREFIX_BITS = [18, 20, 24, 32];
const IPV4_RATE_FACTORS = [768, 256, 32, 1];
/** For /32, /48, /56, /64 and /128. */
const IPV6_RATE_FACTORS = [64, 4, 3, 2, 1];
const MAX_PREFIXES = 5;

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
   * @param kind any small number: buckets of different kinds are apart
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
  const setMask = sets - 1;
  const lines = new ArrayBuffer(sets * LINE_OCTETS);
  const tags = new Int32Array(lines);
  const drainedAtMs = new Float64Array(lines);
  const intervalMs = (factor: number) => 1_000 / (options.ratePerSecond * factor);
  const ipv4IntervalsMs = Float64Array.from(IPV4_RATE_FACTORS, intervalMs);
  const ipv6IntervalsMs = Float64Array.from(IPV6_RATE_FACTORS, intervalMs);
  const ipv4Masks = Int32Array.from(IPV4_PREFIX_BITS, (bits) => -1 << (32 - bits));
  const hashes = new Int32Array(MAX_PREFIXES);
  const slots = new Int32Array(MAX_PREFIXES);
  const { seed } = options;
  /** Times are kept relative to the first one: ms since 1970 leave a double too few bits for intervals of a few µs. */
  let startMs = Number.NaN;

  function hashPrefixes(address: Uint8Array, isIpv6: boolean, kind: number): void {
    const salt = mix32(seed + kind * 2 + (isIpv6 ? 1 : 0));
    const first = wordAt(address, 0);
    if (!isIpv6) {
      // Two rounds: prefixes of one address differ in few bits, and must not fall into sets near to each other.
      for (let index = 0; index < ipv4Masks.length; index++)
        hashes[index] = mix32(mix32((first & ipv4Masks[index]!) ^ salt) + index);
      return;
    }
    const second = wordAt(address, 4);
    const site = combine32(salt, first);
    hashes[0] = site;
    // Each length has a start of its own: /48 and /64 with the same bits set are different buckets.
    hashes[1] = combine32(mix32(site + 1), second & 0xffff0000);
    hashes[2] = combine32(mix32(site + 2), second & 0xffffff00);
    const network = combine32(mix32(site + 3), second);
    hashes[3] = network;
    hashes[4] = combine32(combine32(network, wordAt(address, 8)), wordAt(address, 12));
  }

  /**
   * @param hash seeded, so that its low bits choose the set and the whole of it is the tag
   * @returns the slot (in `drainedAtMs`) of the bucket with this hash; a fresh one where there was none
   */
  function slotOf(hash: number, nowMs: number): number {
    const tag = hash === 0 ? 1 : hash;
    const set = tag & setMask;
    const firstTime = set * TIMES_PER_LINE;
    const firstTag = set * TAGS_PER_LINE + FIRST_TAG;
    for (let way = 0; way < WAYS; way++) {
      if (tags[firstTag + way] !== tag) continue;
      // Further ahead than any bucket gets: the clock was set back. Start again rather than limit for that long.
      if (drainedAtMs[firstTime + way]! > nowMs + 2 * BURST_MS) drainedAtMs[firstTime + way] = nowMs;
      return firstTime + way;
    }
    let victim = 0;
    for (let way = 1; way < WAYS; way++) {
      if (drainedAtMs[firstTime + way]! < drainedAtMs[firstTime + victim]!) victim = way;
    }
    tags[firstTag + victim] = tag;
    drainedAtMs[firstTime + victim] = nowMs;
    return firstTime + victim;
  }

  function isOver(client: Client, kind: number, unixMs: number): boolean {
    if (Number.isNaN(startMs)) startMs = unixMs;
    const nowMs = unixMs - startMs;
    const intervalsMs = client.isIpv6 ? ipv6IntervalsMs : ipv4IntervalsMs;
    const count = intervalsMs.length;
    // All hashes first: the memory behind them is then fetched at the same time, not one after the other.
    hashPrefixes(client.address, client.isIpv6, kind);
    let isFull = false;
    for (let index = 0; index < count; index++) {
      const slot = slotOf(hashes[index]!, nowMs);
      slots[index] = slot;
      if (Math.max(drainedAtMs[slot]!, nowMs) + intervalsMs[index]! > nowMs + BURST_MS) isFull = true;
    }
    if (isFull) return true;
    for (let index = 0; index < count; index++) {
      const slot = slots[index]!;
      drainedAtMs[slot] = Math.max(drainedAtMs[slot]!, nowMs) + intervalsMs[index]!;
    }
    return false;
  }

  return { isOver };
}

const wordAt = (address: Uint8Array, at: number): number =>
  (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!;
