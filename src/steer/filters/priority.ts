/**
 * Filter `priority`: keeps the lowest tier that is not empty; with `split`, leaves shares to the tiers that follow.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidates } from "#steer/candidate.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { ROLL, ROLL_VALUES } from "#steer/rolls.ts";

const tiersOf = (candidates: Candidates): number[] =>
  [...new Set(candidates.map(({ priority }) => priority))].sort((a, b) => a - b);

/** Upper ends of the shares of the first `count` tiers, as rolls. With fewer tiers than shares, those left take all. */
function endsOf(split: readonly number[], count: number): number[] {
  const shares = split.slice(0, count);
  const sum = shares.reduce((total, share) => total + share, 0);
  let end = 0;
  return shares.map((share) => {
    end += share;
    return sum === 0 ? ROLL_VALUES : Math.round((end * ROLL_VALUES) / sum);
  });
}

export const priority: FilterDefinition<Extract<FilterSpec, { name: "priority" }>> = {
  kind: "sift",
  uses: { geo: false, state: false, hash: false },
  run(candidates, { split }, context) {
    const tiers = tiersOf(candidates);
    let chosen = 0;
    if (split.length > 1 && tiers.length > 1) {
      const roll = context.roll("second");
      chosen = endsOf(split, tiers.length).findIndex((end) => roll < end);
    }
    return candidates.filter((candidate) => {
      if (candidate.priority === tiers[chosen]) return true;
      context.note(candidate, `tier ${candidate.priority}, and tier ${tiers[chosen]} is chosen`);
      return false;
    });
  },
  mayRoll: ({ split }, candidates) => (split.length > 1 && tiersOf(candidates).length > 1 ? ROLL.second : 0),
  cuts({ split }, candidates) {
    if (split.length < 2) return [];
    const cuts: number[] = [];
    for (let tiers = 2; tiers <= tiersOf(candidates).length; tiers++) cuts.push(...endsOf(split, tiers));
    return cuts;
  },
};
