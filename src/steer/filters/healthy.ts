/**
 * Filter `healthy`: keeps what is up. A region that ramps up or drains takes only its share of clients: the same
 * networks at each step, and more of them as the share grows.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { isPartial, RANK } from "#steer/region-state.ts";
import { isWithinShare, ROLL } from "#steer/rolls.ts";

export const healthy: FilterDefinition<Extract<FilterSpec, { name: "healthy" }>> = {
  kind: "sift",
  uses: { geo: false, state: true, hash: false },
  run(candidates, _spec, context) {
    return candidates.filter((candidate) => {
      const state = context.states[candidate.index]!;
      if (state.rank === RANK.up) {
        if (!isPartial(state)) return true;
        if (isWithinShare(context.roll("ramp"), candidate.region.hash, state.share)) return true;
        context.note(candidate, `${state.says}: this client is not in the share`);
        return false;
      }
      context.note(candidate, state.says);
      return false;
    });
  },
  mayRoll: (_spec, _candidates, { states }) => (states.some(isPartial) ? ROLL.ramp : 0),
};
