/**
 * Filter `weighted`: puts one region first by weight, exactly: the 4,096 rolls are divided in proportion. The others
 * follow, each drawn by weight from what is left. Weight 0 is left out while anything else is there.
 * @module
 */
import { combine32 } from "#base/hash.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidates } from "#steer/candidate.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { ROLL, ROLL_VALUES } from "#steer/rolls.ts";

/** Position of the candidate whose part of the circle holds `roll`. */
function pick(candidates: Candidates, roll: number): number {
  const sum = candidates.reduce((total, { weight }) => total + weight, 0);
  let end = 0;
  // The middle of the roll's cell, so that rounding favours neither end.
  const point = ((roll + 0.5) * sum) / ROLL_VALUES;
  return candidates.findIndex(({ weight }) => {
    end += weight;
    return point < end;
  });
}

export const weighted: FilterDefinition<Extract<FilterSpec, { name: "weighted" }>> = {
  kind: "split",
  uses: { geo: false, state: false, hash: true },
  run(candidates, _spec, context) {
    // By hash, so that the parts of the circle do not depend on how an earlier filter sorted.
    const left = candidates
      .filter(({ weight }) => weight > 0)
      .sort((a, b) => a.region.hash - b.region.hash || a.index - b.index);
    if (left.length === 0) return candidates;
    for (const candidate of candidates) if (candidate.weight === 0) context.note(candidate, "weight 0");
    if (left.length === 1) return left;
    let roll = context.roll("main");
    const order: Candidates[number][] = [];
    while (left.length > 0) {
      order.push(...left.splice(pick(left, roll), 1));
      roll = combine32(roll, order.length) & (ROLL_VALUES - 1);
    }
    return order;
  },
  mayRoll: () => ROLL.main,
};
