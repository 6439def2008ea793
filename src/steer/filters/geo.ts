/**
 * Filter `geo`: keeps the regions that match the client best: by an override's preference, then country, then
 * continent. An override names regions in order of preference, and they come out in that order.
 * @module
 */
import { GEO_MATCH } from "#state/class-facts.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidate } from "#steer/candidate.ts";
import type { FilterDefinition } from "#steer/filter.ts";

export const geo: FilterDefinition<Extract<FilterSpec, { name: "geo" }>> = {
  kind: "sift",
  uses: { geo: true, state: false, hash: false },
  run(candidates, spec, context) {
    const { facts } = context;
    if (!facts.isKnown) return candidates;
    const preferred = facts.preferred
      .map((index) => candidates.find((candidate) => candidate.factsIndex === index))
      .filter((candidate) => candidate !== undefined);
    if (preferred.length > 0) {
      for (const candidate of candidates) {
        if (!preferred.includes(candidate)) context.note(candidate, "an override prefers other regions");
      }
      return preferred;
    }
    const matchOf = (candidate: Candidate): number => facts.match[candidate.factsIndex] ?? GEO_MATCH.none;
    const best = Math.max(...candidates.map(matchOf));
    // No match at all is an empty set only for those who said what is to happen then.
    if (best === GEO_MATCH.none) return spec.onEmpty === "undo" ? candidates : [];
    return candidates.filter((candidate) => {
      if (matchOf(candidate) === best) return true;
      context.note(
        candidate,
        `another region matches the client's ${best === GEO_MATCH.country ? "country" : "continent"}`,
      );
      return false;
    });
  },
  mayRoll: () => 0,
};
