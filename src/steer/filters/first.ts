/**
 * Filter `first`: keeps the first n candidates.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition } from "#steer/filter.ts";

export const first: FilterDefinition<Extract<FilterSpec, { name: "first" }>> = {
  kind: "limit",
  uses: { geo: false, state: false, hash: false },
  run(candidates, { count }, context) {
    for (const candidate of candidates.slice(count)) context.note(candidate, `beyond the first ${count}`);
    return candidates.slice(0, count);
  },
  mayRoll: () => 0,
};
