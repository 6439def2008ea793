/**
 * Filter `geofence`: a client inside the fence may only be given the fence's regions; others are not touched. Never
 * undone (ruling 7; docs/decisions/0003-geofence.md).
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { FilterDefinition } from "#steer/filter.ts";

export const geofence: FilterDefinition<Extract<FilterSpec, { name: "geofence" }>> = {
  kind: "sift",
  uses: { geo: true, state: false, hash: false },
  run(candidates, spec, context) {
    if (context.facts.insideFence[spec.fence] !== true) return candidates;
    return candidates.filter((candidate) => {
      if (spec.regions.includes(candidate.region.id)) return true;
      context.note(candidate, "not one of the fence's regions, and the client is inside the fence");
      return false;
    });
  },
  mayRoll: () => 0,
};
