/**
 * Bounded loads for hash algorithms (Mirrokni, Thorup, Zadimoghaddam 2016, arXiv 1608.01350): nobody takes more than a
 * given factor of the mean.
 *
 * A member's bound is ⌈(connections of all + 1) × its part of the weights × factor⌉, the connection that asks included, so
 * that there is always room with somebody. Counts of all come from copies of which `REFRESHES` are looked at per pick.
 * @module
 */
import type { Members } from "#balance/algorithm.ts";
import { type Available, loadOf } from "#balance/available.ts";

const REFRESHES = 4;

export type LoadBound = {
  refresh(members: Members, available: Available): void;
  /** Once per pick, before `isOver`. */
  begin(): void;
  isOver(index: number): boolean;
  loadChanged(index: number): void;
};

/** @param factorPercent at least 100; 0: nobody is ever over */
export function createLoadBound(factorPercent: number): LoadBound {
  if (factorPercent === 0) return { refresh() {}, begin() {}, isOver: () => false, loadChanged() {} };
  const factor = Math.max(100, factorPercent) / 100;
  let members: Members;
  let available: Available;
  let loads = new Int32Array(0);
  /** Of the available members. */
  let sum = 0;
  let weights = 0;
  let cursor = 0;
  function look(index: number): void {
    if ((available.places[index] ?? -1) < 0) return;
    const load = loadOf(members, index);
    sum += load - loads[index]!;
    loads[index] = load;
  }
  return {
    refresh(nextMembers, nextAvailable) {
      members = nextMembers;
      available = nextAvailable;
      if (loads.length !== members.size) loads = new Int32Array(members.size);
      else loads.fill(0);
      sum = 0;
      weights = 0;
      for (let at = 0; at < available.count; at++) {
        const index = available.list[at]!;
        look(index);
        weights += members.weights[index]!;
      }
    },
    begin() {
      for (let left = Math.min(REFRESHES, available.count); left > 0; left--) {
        if (cursor >= available.count) cursor = 0;
        look(available.list[cursor++]!);
      }
    },
    isOver(index) {
      look(index);
      return loads[index]! + 1 > Math.ceil(((sum + 1) * members.weights[index]! * factor) / weights);
    },
    loadChanged: look,
  };
}
