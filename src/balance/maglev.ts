/**
 * `maglev`: one look into a table of 65,537 slots in which members have places by weight (Eisenbud et al., NSDI 2016, §3.4).
 *
 * Every member has a permutation of the slots and takes, turn by turn, the first of them that is still free. Shares are
 * right to one slot per member; when one leaves, its own slots move and about one in a hundred of the others.
 * @module
 */

import type { Algorithm, AlgorithmOptions } from "#balance/algorithm.ts";
import { orderByKey } from "#balance/available.ts";
import { createHashed } from "#balance/hashed.ts";
import { hashBytes } from "#base/hash.ts";

/** Prime, and 100 times more than members in a large pool (the paper's small table; Envoy's and Katran's default). */
export const MAGLEV_SLOTS = 65_537;
/** Part of the table's format: nodes with other seeds send clients elsewhere. */
const OFFSET_SEED = 0x6f66_6673;
const SKIP_SEED = 0x736b_6970;

/**
 * The same for the same members in whatever order, up to their indexes.
 *
 * @param keys what is hashed: different from each other
 * @param weights turns in proportion; 0: no slot
 * @param size prime
 * @returns for each slot an index into `keys`; empty if nobody has a weight
 */
export function buildMaglevTable(
  keys: readonly string[],
  weights: ArrayLike<number>,
  size: number = MAGLEV_SLOTS,
): Uint16Array | Uint32Array {
  const members = orderByKey(keys).filter((index) => weights[index]! > 0);
  if (members.length === 0) return new Uint16Array(0);
  const table = keys.length <= 0xffff ? new Uint16Array(size) : new Uint32Array(size);
  const isTaken = new Uint8Array(size);
  const encoder = new TextEncoder();
  const places = new Uint32Array(members.length);
  const skips = new Uint32Array(members.length);
  let greatest = 0;
  members.forEach((index, at) => {
    const octets = encoder.encode(keys[index]!);
    places[at] = hashBytes(octets, OFFSET_SEED) % size;
    skips[at] = (hashBytes(octets, SKIP_SEED) % (size - 1)) + 1;
    greatest = Math.max(greatest, weights[index]!);
  });
  // In each round every member gets its part of a turn, and takes a slot when it has come to a whole one.
  const due = new Float64Array(members.length);
  for (let left = size; left > 0; ) {
    for (let at = 0; at < members.length && left > 0; at++) {
      due[at]! += weights[members[at]!]! / greatest;
      if (due[at]! < 1) continue;
      due[at]! -= 1;
      let place = places[at]!;
      while (isTaken[place]) place = (place + skips[at]!) % size;
      isTaken[place] = 1;
      table[place] = members[at]!;
      places[at] = place;
      left--;
    }
  }
  return table;
}

export function createMaglev(options: AlgorithmOptions): Algorithm {
  let table: Uint16Array | Uint32Array = new Uint16Array(0);
  return createHashed(
    {
      build(members) {
        table = buildMaglevTable(members.keys, members.weights);
      },
      at: (hash) => table[(hash >>> 0) % MAGLEV_SLOTS] ?? -1,
    },
    options,
  );
}
