/**
 * `random` and `weighted_random`: one draw from an alias table (Walker 1974, built as Vose 1991 does), O(1).
 *
 * `random` ignores weights but 0; of a member in slow start it takes the share that it has come to.
 * @module
 */
import type { Algorithm, AlgorithmOptions, Members } from "#balance/algorithm.ts";
import { createAvailable, createMarks, shareOf } from "#balance/available.ts";

/** Draws before the members that are left are added up: most often one is enough. */
const DRAWS = 8;

export function createRandom({ rng }: AlgorithmOptions, isWeighted: boolean): Algorithm {
  const available = createAvailable();
  const marks = createMarks();
  let members: Members;
  /** Of each place in the list: the part of its draws that it keeps, and the place that gets the others. */
  let kept = new Float64Array(0);
  let alias = new Int32Array(0);
  /** Places below and above the mean; each place is in one of them at a time. */
  let queue = new Int32Array(0);

  function refresh(): void {
    available.refresh(members);
    const { list, count } = available;
    let sum = 0;
    for (let place = 0; place < count; place++) sum += shareOf(members, list[place]!, isWeighted);
    let low = 0;
    let high = count;
    for (let place = 0; place < count; place++) {
      kept[place] = (shareOf(members, list[place]!, isWeighted) * count) / sum;
      alias[place] = place;
      if (kept[place]! < 1) queue[low++] = place;
      else queue[--high] = place;
    }
    while (low > 0 && high < count) {
      const small = queue[--low]!;
      const large = queue[high]!;
      alias[small] = large;
      kept[large]! -= 1 - kept[small]!;
      if (kept[large]! < 1) {
        high++;
        queue[low++] = large;
      }
    }
    // What rounding has left over keeps all of its draws.
    for (let at = 0; at < low; at++) kept[queue[at]!] = 1;
    for (let at = high; at < count; at++) kept[queue[at]!] = 1;
  }

  function draw(): number {
    const roll = rng() * available.count;
    const place = Math.floor(roll);
    return available.list[roll - place < kept[place]! ? place : alias[place]!]!;
  }

  /** By adding up: for few that are left among many. */
  function drawOfRest(): number {
    const { list, count } = available;
    let sum = 0;
    for (let place = 0; place < count; place++)
      if (!marks.has(list[place]!)) sum += shareOf(members, list[place]!, isWeighted);
    let roll = rng() * sum;
    let last = -1;
    for (let place = 0; place < count; place++) {
      const index = list[place]!;
      if (marks.has(index)) continue;
      last = index;
      roll -= shareOf(members, index, isWeighted);
      if (roll < 0) break;
    }
    return last;
  }

  return {
    update(next) {
      members = next;
      available.resize(next.size);
      marks.resize(next.size);
      kept = new Float64Array(next.size);
      alias = new Int32Array(next.size);
      queue = new Int32Array(next.size);
      refresh();
    },
    refresh,
    pick(_key, _nowMs, tried) {
      if (available.count === 0) return -1;
      if (tried.length === 0) return draw();
      marks.set(tried);
      for (let left = DRAWS; left > 0; left--) {
        const index = draw();
        if (!marks.has(index)) return index;
      }
      return drawOfRest();
    },
  };
}
