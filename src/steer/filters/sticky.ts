/**
 * Filter `sticky`: weighted rendezvous hashing. Each client network has a fixed order of regions; when one leaves, only
 * its own clients move. Time does not enter: the chain that holds this filter rolls without slots.
 *
 * Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998; weights
 * by Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005 (score −w / ln u).
 * @module
 */
import { combine32 } from "#base/hash.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidate } from "#steer/candidate.ts";
import type { FilterDefinition } from "#steer/filter.ts";
import { ROLL } from "#steer/rolls.ts";

export const sticky: FilterDefinition<Extract<FilterSpec, { name: "sticky" }>> = {
  kind: "split",
  uses: { geo: false, state: false, hash: true },
  run(candidates, _spec, context) {
    const weighty = candidates.filter(({ weight }) => weight > 0);
    if (weighty.length === 0) return candidates;
    for (const candidate of candidates) if (candidate.weight === 0) context.note(candidate, "weight 0");
    if (weighty.length === 1) return weighty;
    const roll = context.roll("main");
    const score = ({ region, weight }: Candidate): number =>
      -weight / Math.log((combine32(region.hash, roll) + 0.5) / 2 ** 32);
    return weighty
      .map((candidate) => ({ candidate, score: score(candidate) }))
      .sort((a, b) => b.score - a.score || a.candidate.index - b.candidate.index)
      .map(({ candidate }) => candidate);
  },
  mayRoll: () => ROLL.main,
};
