/**
 * Filter `shuffle`: rotates the candidates by the client's hash, so that each comes first equally often. Rotations, not
 * permutations: n variants of an answer instead of n!.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { ROLL, ROLL_VALUES } from "#steer/rolls.ts";

export const shuffle: FilterDefinition<Extract<FilterSpec, { name: "shuffle" }>> = {
  kind: "sort",
  uses: { geo: false, state: false, hash: true },
  run(candidates, _spec, context) {
    if (candidates.length < 2) return candidates;
    const start = Math.floor((context.roll("main") * candidates.length) / ROLL_VALUES);
    return [...candidates.slice(start), ...candidates.slice(0, start)];
  },
  mayRoll: () => ROLL.main,
};
