/**
 * Filter `nearest`: sorts by distance. Regions within the slack of the nearest count as equally near and share the
 * clients evenly, so that of two regions in one city the second is used as well.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidate, Candidates } from "#steer/candidate.ts";
import { biasedKm } from "#steer/distance.ts";
import type { FilterDefinition, World } from "#steer/filter.ts";
import { ROLL, ROLL_VALUES } from "#steer/rolls.ts";

type Spec = Extract<FilterSpec, { name: "nearest" }>;

/** Undefined when a distance is not known. */
function distances(candidates: Candidates, spec: Spec, { facts }: World): Map<Candidate, number> | undefined {
  const biased = new Map<Candidate, number>();
  for (const candidate of candidates) {
    const km = facts.distanceKm[candidate.factsIndex] ?? -1;
    if (km < 0) return undefined;
    biased.set(candidate, biasedKm(km, spec.bias[candidate.region.id] ?? 0));
  }
  return biased;
}

export const nearest: FilterDefinition<Spec> = {
  kind: "sort",
  uses: { geo: true, state: false, hash: false },
  run(candidates, spec, context) {
    const km = distances(candidates, spec, context);
    // A client of whom nothing is known: the default order (ruling 9).
    if (!km || candidates.length < 2) return candidates;
    const preference = (candidate: Candidate): number => {
      const place = context.facts.preferred.indexOf(candidate.factsIndex);
      return place < 0 ? Number.MAX_SAFE_INTEGER : place;
    };
    const sorted = [...candidates].sort(
      (a, b) => preference(a) - preference(b) || km.get(a)! - km.get(b)! || a.index - b.index,
    );
    for (const candidate of sorted) context.note(candidate, `${Math.round(km.get(candidate)!)} km`);
    const first = sorted[0]!;
    if (preference(first) !== Number.MAX_SAFE_INTEGER) return sorted;
    const limit = km.get(first)! + spec.slackKm;
    let twins = 1;
    while (twins < sorted.length && km.get(sorted[twins]!)! <= limit) twins++;
    if (twins === 1) return sorted;
    // Which twin comes first is the client's hash; the order in the ring does not depend on who is a little nearer.
    const ring = sorted.slice(0, twins).sort((a, b) => a.region.hash - b.region.hash || a.index - b.index);
    const start = Math.floor((context.roll("main") * twins) / ROLL_VALUES);
    return [...ring.slice(start), ...ring.slice(0, start), ...sorted.slice(twins)];
  },
  mayRoll(spec, candidates, world) {
    const km = distances(candidates, spec, world);
    if (!km) return 0;
    const sorted = [...km.values()].sort((a, b) => a - b);
    return sorted.some((value, index) => index > 0 && value - sorted[index - 1]! <= spec.slackKm) ? ROLL.main : 0;
  },
};
