/**
 * Filter `shed`: turns clients away from loaded regions: none below `low`, all from `high` on, in proportion between.
 *
 * Where a plan spreads the service's clients by capacity it has seen to that, with all regions in view: then the filter lets
 * everybody pass, and the chain's end moves who is to move.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition, World } from "#steer/filter.ts";
import { FULL_SHARE, type RegionState } from "#steer/region-state.ts";
import { isWithinShare, ROLL, shareCuts } from "#steer/rolls.ts";

type Spec = Extract<FilterSpec, { name: "shed" }>;

/** Share of its clients that a region keeps, in 4,096ths. */
function keptShare({ lowPermille, highPermille }: Spec, { loadPermille }: RegionState): number {
  if (loadPermille <= lowPermille) return FULL_SHARE;
  if (loadPermille >= highPermille) return 0;
  return (FULL_SHARE * (highPermille - loadPermille)) / (highPermille - lowPermille);
}
const isPartial = (share: number): boolean => share > 0 && share < FULL_SHARE;
const isPlanned = ({ spread }: Spec, world: World): boolean => spread === "capacity" && world.spread !== undefined;

export const shed: FilterDefinition<Spec> = {
  kind: "sift",
  uses: { geo: false, state: true, hash: false },
  run(candidates, spec, context) {
    if (isPlanned(spec, context)) {
      for (const candidate of candidates) {
        const { loadPermille } = context.states[candidate.index]!;
        if (loadPermille > spec.lowPermille)
          context.note(candidate, `load ${loadPermille / 10} %: the plan sees to it`);
      }
      return candidates;
    }
    return candidates.filter((candidate) => {
      const state = context.states[candidate.index]!;
      const share = keptShare(spec, state);
      if (share === FULL_SHARE) return true;
      if (share > 0 && isWithinShare(context.roll("second"), candidate.region.hash, share)) return true;
      const extent = share === 0 ? "all clients" : "this client";
      context.note(candidate, `load ${state.loadPermille / 10} %: turns ${extent} away`);
      return false;
    });
  },
  mayRoll: (spec, _candidates, world) =>
    !isPlanned(spec, world) && world.states.some((state) => isPartial(keptShare(spec, state))) ? ROLL.second : 0,
  cuts: (spec, candidates, states) =>
    candidates
      .map(({ index, region }) => ({ share: keptShare(spec, states[index]!), region }))
      .filter(({ share }) => isPartial(share))
      .flatMap(({ share, region }) => shareCuts(region.hash, share)),
};
