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
/** 32 MiB, and a third more. With more, weights are scaled down, and the ring is no longer nginx's. */
const MAX_POINTS = 4_194_304;

/** CRC-32 of ISO 3309, as in zlib, without the inversions before and after. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const crcStep = (crc: number, octet: number): number => (crc >>> 8) ^ CRC_TABLE[(crc ^ octet) & 0xff]!;

export type Ring = {
  /** Rising; of equal ones the first counts. */
  readonly points: Uint32Array;
  /** Index of the member that a point belongs to. */
  readonly owners: Uint32Array;
  /** `starts[b]`: place of the first point whose high bits, all but `shift`, are b or more. */
  readonly starts: Uint32Array;
  readonly shift: number;
};

/** Points that share their high bits, on average: so many are looked at to find one. */
const POINTS_PER_BUCKET = 8;

/** @param order the members by key: of two with the same point the first has it */
export function buildRing(keys: readonly string[], weights: ArrayLike<number>, order: ArrayLike<number>): Ring {
  let sum = 0;
  for (let index = 0; index < keys.length; index++) sum += weights[index]!;
  const perWeight = Math.min(POINTS_PER_WEIGHT, MAX_POINTS / Math.max(1, sum));
  const countOf = (index: number): number =>
    weights[index]! > 0 ? Math.max(1, Math.round(weights[index]! * perWeight)) : 0;
  let total = 0;
  for (let index = 0; index < keys.length; index++) total += countOf(index);

  const bits = Math.max(1, 31 - Math.clz32(total / POINTS_PER_BUCKET));
  const shift = 32 - bits;
  const starts = new Uint32Array((1 << bits) + 1);
  const made = new Uint32Array(total);
  let at = 0;
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank]!;
    const base = crcOfServer(keys[index]!);
    let point = 0;
    for (let left = countOf(index); left > 0; left--) {
      let crc = base;
      for (let octet = 0; octet < 32; octet += 8) crc = crcStep(crc, point >>> octet);
      point = ~crc >>> 0;
      made[at++] = point;
      starts[(point >>> shift) + 1]!++;
    }
  }
  for (let bucket = 0; bucket < 1 << bits; bucket++) starts[bucket + 1]! += starts[bucket]!;

  // Into buckets, and in them by insertion: points are as good as random, so buckets are small.
  const ring: Ring = { points: new Uint32Array(total), owners: new Uint32Array(total), starts, shift };
  const filled = starts.slice();
  at = 0;
  for (let rank = 0; rank < order.length; rank++) {
    const index = order[rank]!;
    for (let left = countOf(index); left > 0; left--) insert(ring, made[at++]!, index, filled);
  }
  return ring;
}

/** `HOST \0 PORT`, before the final inversion. */
function crcOfServer(key: string): number {
  const colon = key.lastIndexOf(":");
  let crc = 0xffff_ffff;
  for (const octet of new TextEncoder().encode(`${key.slice(0, colon)}\0${key.slice(colon + 1)}`))
    crc = crcStep(crc, octet);
  return crc;
}

/** @param filled of each bucket where its last point ends, so far */
function insert({ points, owners, starts, shift }: Ring, point: number, owner: number, filled: Uint32Array): void {
  const bucket = point >>> shift;
  let place = filled[bucket]!++;
  for (; place > starts[bucket]! && points[place - 1]! > point; place--) {
    points[place] = points[place - 1]!;
    owners[place] = owners[place - 1]!;
  }
  points[place] = point;
  owners[place] = owner;
}

/** Place of the first point at or after `hash`. */
export function findPoint({ points, starts, shift }: Ring, hash: number): number {
  const wanted = hash >>> 0;
  const bucket = wanted >>> shift;
  const end = starts[bucket + 1]!;
  let place = starts[bucket]!;
  while (place < end && points[place]! < wanted) place++;
  return place === points.length ? 0 : place;
}

export function createRingHash(options: AlgorithmOptions): Algorithm {
  let ring = buildRing([], [], []);
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
