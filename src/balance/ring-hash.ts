/**
 * `ring_hash`: a consistent hash ring as ketama and nginx (`hash … consistent`) have it.
 *
 * A member has 160 points per unit of weight: crc32(HOST \0 PORT PREVIOUS), PREVIOUS being the point before, little-endian,
 * and 0 for the first. A client belongs to the first point at or after its hash. With crc32 as its hash, nginx in front of
 * the same backends chooses the same one; the vectors in the tests come from it.
 * @module
 */
import type { Algorithm, AlgorithmOptions } from "#balance/algorithm.ts";
import { createHashed } from "#balance/hashed.ts";

const POINTS_PER_WEIGHT = 160;
/** 48 MiB at most. With more, weights are scaled down, and the ring is no longer nginx's. */
const MAX_POINTS = 4_194_304;

/** CRC-32 of ISO 3309, as in zlib, without the inversions before and after. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const crcStep = (crc: number, octet: number): number => (crc >>> 8) ^ CRC_TABLE[(crc ^ octet) & 0xff]!;

export type Ring = {
  /** Rising, each one once. */
  readonly points: Uint32Array;
  /** Index of the member that a point belongs to. */
  readonly owners: Uint32Array;
};

/** @param order the members by key: of two with the same point the first has it */
export function buildRing(keys: readonly string[], weights: ArrayLike<number>, order: ArrayLike<number>): Ring {
  let sum = 0;
  for (let index = 0; index < keys.length; index++) sum += weights[index]!;
  const perWeight = Math.min(POINTS_PER_WEIGHT, MAX_POINTS / Math.max(1, sum));
  const countOf = (index: number): number =>
    weights[index]! > 0 ? Math.max(1, Math.round(weights[index]! * perWeight)) : 0;
  let total = 0;
  for (let index = 0; index < keys.length; index++) total += countOf(index);

  // Point and rank of its owner in one number, so that numbers are sorted without asking: 32 + 21 bits at most.
  const sorted = new Float64Array(total);
  const encoder = new TextEncoder();
  let at = 0;
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank]!;
    const colon = keys[index]!.lastIndexOf(":");
    let base = 0xffff_ffff;
    for (const octet of encoder.encode(keys[index]!.slice(0, colon))) base = crcStep(base, octet);
    base = crcStep(base, 0);
    for (const octet of encoder.encode(keys[index]!.slice(colon + 1))) base = crcStep(base, octet);
    let point = 0;
    for (let left = countOf(index); left > 0; left--) {
      let crc = base;
      for (let shift = 0; shift < 32; shift += 8) crc = crcStep(crc, point >>> shift);
      point = ~crc >>> 0;
      sorted[at++] = point * 0x20_0000 + rank;
    }
  }
  sorted.sort();
  const points = new Uint32Array(total);
  const owners = new Uint32Array(total);
  let count = 0;
  for (const value of sorted) {
    const point = Math.floor(value / 0x20_0000);
    if (count > 0 && points[count - 1] === point) continue;
    points[count] = point;
    owners[count++] = order[value % 0x20_0000]!;
  }
  return { points: points.subarray(0, count), owners: owners.subarray(0, count) };
}

/** Place of the first point at or after `hash`. */
export function findPoint({ points }: Ring, hash: number): number {
  const wanted = hash >>> 0;
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (points[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}

export function createRingHash(options: AlgorithmOptions): Algorithm {
  let ring: Ring = { points: new Uint32Array(0), owners: new Uint32Array(0) };
  let place = 0;
  return createHashed(
    {
      build(members, order) {
        ring = buildRing(members.keys, members.weights, order);
      },
      at(hash) {
        place = findPoint(ring, hash);
        return ring.owners[place] ?? -1;
      },
      next() {
        place = place + 1 < ring.owners.length ? place + 1 : 0;
        return ring.owners[place]!;
      },
    },
    options,
  );
}
