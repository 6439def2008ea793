/**
 * Deterministic selection: a hash of (service, client key, time slot), never the query type, never random. UDP and
 * TCP, A and AAAA, and every node agree (rulings 1 and 2).
 *
 * Owns:    client keys, slots, and the four rolls that a chain may use, each of 0 to 4,095.
 * Units:   ms and seconds as named.
 * @module
 */
import { combine32, mix32 } from "#base/hash.ts";

export const ROLL_VALUES = 4_096;
/** Bits of a set of rolls. */
export const ROLL = { main: 1, second: 2, ramp: 4, spread: 8 } as const;
export type RollName = keyof typeof ROLL;
export type Rolls = { main: number; second: number; ramp: number; spread: number };

/**
 * @param bits prefix of the address that counts: 24 and 48 by default with ECS, all bits for a resolver
 * @returns 32-bit key, well mixed
 */
export function clientKey(address: Uint8Array, isIpv6: boolean, bits: number): number {
  let key = isIpv6 ? 0x36 : 0x34;
  for (let at = 0, left = bits; left > 0; at += 4, left -= 32) {
    const word = (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!;
    key = combine32(key, left >= 32 ? word : word & (-1 << (32 - left))) | 0;
  }
  return key | 0; // as int32: a larger number is an object when it is handed on
}

/** Slots are counted from the Unix epoch and shifted by the client key, so that edges do not fall together. */
export const slotOf = (nowMs: number, key: number, slotMs: number): number =>
  // 31 bits of the key: the remainder of a larger number is one of floating point, and slow.
  Math.floor((nowMs + ((key >>> 1) % slotMs)) / slotMs) | 0;

/** A prefix keeps its place for `ttl.max`; a resolver stands for many clients and moves on sooner (ruling 1). */
export const prefixSlotMs = (ttlMaxSeconds: number): number => ttlMaxSeconds * 1_000;
export const resolverSlotMs = (ttlMinSeconds: number): number => Math.max(1_000, ttlMinSeconds * 250);

/** How far a client's rolls turn from one slot to the next, in 2^-32 of a circle. */
export type Turn = { readonly main: number; readonly second: number; readonly spread: number };
/** The golden angle (2 − the golden ratio of a circle) and the fractional parts of √2 and √3, in 2^-32 of a circle. */
const GOLDEN_ANGLE = 0x61c88647;
const SILVER_ANGLE = 0x6a09e667;
const BRONZE_ANGLE = 0xbb67ae85;
/** TTLs are up to a tenth shorter than `ttl.max` (`ttl.ts`), so this much on average. */
const MEAN_TTL = 0.95;

/**
 * One client's rolls turn by an irrational part of the circle from one answer to the next (Weyl). Over n answers its
 * shares are then right to about 1/n, where independent hashes would give 1/√n: that is what makes shares right for few
 * resolvers. A resolver that caches asks once per TTL, so the angle is laid out for that time; one that does not cache
 * sees the turn in small steps.
 *
 * @param slotMs length of the slots that the rolls are counted in
 */
export function turnPerSlot(slotMs: number, ttlMaxSeconds: number): Turn {
  const part = slotMs / (ttlMaxSeconds * 1_000 * MEAN_TTL);
  const turn = (angle: number): number => Math.round(angle * part) | 0;
  return { main: turn(GOLDEN_ANGLE), second: turn(SILVER_ANGLE), spread: turn(BRONZE_ANGLE) };
}

/** The client's place for one service, before time enters. */
export const clientPlaceOf = (serviceHash: number, key: number): number => combine32(serviceHash, key) | 0;
/** 32 bits of (service, client, slot), for jitter: the upper bits differ from slot to slot (Weyl, golden ratio). */
export const jitterOf = (place: number, slot: number): number => (place + Math.imul(slot, 0x9e3779b1)) | 0;

/**
 * @param place of `clientPlaceOf`
 * @param slot 0 for a service whose choice must not change with time
 * @param into filled in: nothing is allocated
 */
export function roll(place: number, slot: number, turn: Turn, into: Rolls): void {
  into.main = (mix32(place ^ 0x5bd1e995) + Math.imul(slot, turn.main)) >>> 20;
  into.second = (mix32(place ^ 0x1b873593) + Math.imul(slot, turn.second)) >>> 20;
  into.spread = (mix32(place ^ 0x27d4eb2f) + Math.imul(slot, turn.spread)) >>> 20;
  into.ramp = place & (ROLL_VALUES - 1);
}

/**
 * Whether a client with roll `value` is within the first `share` 4,096ths of region `regionHash`: exact over all rolls,
 * and which clients they are differs from region to region.
 */
export const isWithinShare = (value: number, regionHash: number, share: number): boolean =>
  ((value + regionHash) & (ROLL_VALUES - 1)) < share;

/** The rolls at which `isWithinShare` changes its answer. */
export function shareCuts(regionHash: number, share: number): readonly number[] {
  const start = -regionHash & (ROLL_VALUES - 1);
  return [start, (start + Math.ceil(share)) & (ROLL_VALUES - 1)];
}
