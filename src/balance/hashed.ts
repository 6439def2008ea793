/**
 * What hash algorithms share: a table of all members that have a weight, available or not, and a way on from a place.
 *
 * A member that is not available, was tried or is over its bound is passed by, so that one that goes down moves its own
 * clients alone, and gets the same ones back. Members are taken in order of their keys, never in that of the file: every
 * node builds the same table. After `STEPS` places without success (most members are away) the available ones are taken in
 * a row, from one that the client's hash says.
 * @module
 */

import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks, orderByKey } from "#balance/available.ts";
import { createLoadBound } from "#balance/load-bound.ts";
import { combine32 } from "#base/hash.ts";

const STEPS = 64;

export type HashTable = {
  /** @param order the members by key */
  build(members: Members, order: Int32Array): void;
  /** The member at the place of a hash, or -1 if there is none. */
  at(hash: number): number;
  /** The member at the place after the last one; undefined: places have no neighbours, and a new hash says where to go on. */
  next?(): number;
};

export function createHashed(table: HashTable, { balanceFactorPercent }: AlgorithmOptions): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  const bound = createLoadBound(balanceFactorPercent);
  let members: Members;
  let order: Int32Array = new Int32Array(0);

  function refresh(): void {
    available.refresh(members, order);
    bound.refresh(members, available);
  }
  function pickOfRest(key: number): number {
    const { list, count } = available;
    let full = -1;
    for (let step = 0, place = (key >>> 0) % count; step < count; step++, place++) {
      if (place === count) place = 0;
      const index = list[place]!;
      if (marks.has(index)) continue;
      if (!bound.isOver(index)) return index;
      if (full < 0) full = index;
    }
    return full;
  }

  return {
    update(next) {
      members = next;
      order = orderByKey(next.keys);
      available.resize(next.size);
      marks.resize(next.size);
      table.build(next, order);
      refresh();
    },
    refresh,
    pick(key, _nowMs, tried) {
      if (available.count === 0) return -1;
      marks.set(tried);
      bound.begin();
      let index = table.at(key);
      for (let step = 1; index >= 0 && step <= STEPS; step++) {
        let isOver = false;
        if (available.places[index]! >= 0 && !marks.has(index)) {
          isOver = bound.isOver(index);
          if (!isOver) return index;
        }
        // Who is over sends its clients all over the table: a neighbour would be the next to be over (arXiv 1908.08762).
        index = isOver || table.next === undefined ? table.at(combine32(key, step)) : table.next();
      }
      return pickOfRest(key);
    },
    loadChanged: bound.loadChanged,
  };
}
