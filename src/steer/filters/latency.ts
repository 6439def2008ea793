/**
 * Filter `latency`: sorts by round-trip time (ruling 6).
 *
 * What a region costs a client, in ms: the RTT measured from the client's network; else the probe's own RTT, where the
 * client is near the vantage; else the prior that distance gives. To this comes how far the region's probe RTT lies
 * above its baseline (the probe's own RTT has it in already).
 *
 * Probes move clients only by more than the slack: the choice without probes stays unless another region is better by
 * more than that. Regions that are equally fast therefore never swap.
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidate } from "#steer/candidate.ts";
import { priorRttMs } from "#steer/distance.ts";
import type { FilterContext, FilterDefinition } from "#steer/filter.ts";

type Cost = { readonly candidate: Candidate; readonly withoutProbesMs: number; readonly ms: number };

/** Undefined where nothing is known of the way from this client to the region. */
function costOf(candidate: Candidate, context: FilterContext): Cost | undefined {
  const state = context.states[candidate.index]!;
  const measuredMicros = context.measuredMicros?.[candidate.index] ?? 0;
  const km = context.facts.distanceKm[candidate.factsIndex] ?? -1;
  if (measuredMicros === 0 && km < 0) return undefined;
  const withoutProbesMs = measuredMicros > 0 ? measuredMicros / 1_000 : priorRttMs(km);
  const isProbeNear = measuredMicros === 0 && context.facts.isNearVantage && state.probeRttMs > 0;
  return { candidate, withoutProbesMs, ms: isProbeNear ? state.probeRttMs : withoutProbesMs + state.excessRttMs };
}

export const latency: FilterDefinition<Extract<FilterSpec, { name: "latency" }>> = {
  kind: "sort",
  uses: { geo: true, state: true, hash: false },
  run(candidates, spec, context) {
    const known: Cost[] = [];
    const unknown: Candidate[] = [];
    for (const candidate of candidates) {
      const cost = costOf(candidate, context);
      if (cost) known.push(cost);
      else unknown.push(candidate);
    }
    known.sort((a, b) => a.withoutProbesMs - b.withoutProbesMs || a.candidate.index - b.candidate.index);
    const sorted: Candidate[] = [];
    while (known.length > 0) {
      let chosen = 0;
      for (let at = 1; at < known.length; at++) if (known[at]!.ms < known[chosen]!.ms) chosen = at;
      if (known[0]!.ms - known[chosen]!.ms <= spec.slackMs) chosen = 0;
      const [cost] = known.splice(chosen, 1);
      context.note(cost!.candidate, `${cost!.ms.toFixed(1)} ms (${cost!.withoutProbesMs.toFixed(1)} without probes)`);
      sorted.push(cost!.candidate);
    }
    return [...sorted, ...unknown];
  },
  mayRoll: () => 0,
};
