/**
 * `round_robin`: one after the other, in the members' order, O(1). Weights are ignored, but 0.
 *
 * Each worker starts at a random member, so that workers do not all begin with the same one. While members are in slow
 * start or partly drained, turns are spread smoothly by what they have come to (`smooth.ts`).
 * @module
 */
import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks, shareOf } from "#balance/available.ts";
import { createSmooth } from "#balance/smooth.ts";

export function createRoundRobin(options: AlgorithmOptions): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  const uneven = createSmooth(options, false);
  let members: Members | undefined;
  /** Index of the member whose turn is next, and its place in the list (or of the first after it). */
  let next = 0;
  let place = 0;
  let isEven = true;

  function refresh(): void {
    if (members === undefined) return;
    available.refresh(members);
    const { list, count } = available;
    const share = count > 0 ? shareOf(members, list[0]!, false) : 0;
    isEven = true;
    place = 0;
    for (let at = 0; at < count; at++) {
      if (list[at]! < next) place = at + 1;
      isEven &&= shareOf(members, list[at]!, false) === share;
    }
    if (!isEven) uneven.refresh();
  }

  return {
    update(after) {
      if (members === undefined) next = Math.floor(options.rng() * after.size);
      else {
        // The first member, from the one whose turn is next on, that is still there.
        const indexes = new Map(after.keys.map((key, index) => [key, index]));
        const { keys, size } = members;
        let found: number | undefined;
        for (let step = 0; step < size && found === undefined; step++) found = indexes.get(keys[(next + step) % size]!);
        next = found ?? 0;
      }
      members = after;
      available.resize(after.size);
      marks.resize(after.size);
      uneven.update(after);
      refresh();
    },
    refresh,
    pick(key, nowMs, tried) {
      if (!isEven) return uneven.pick(key, nowMs, tried);
      const { list, count } = available;
      marks.set(tried);
      for (let step = 0; step < count; step++) {
        if (place >= count) place = 0;
        const index = list[place++]!;
        next = index + 1;
        if (!marks.has(index)) return index;
      }
      return -1;
    },
  };
}
