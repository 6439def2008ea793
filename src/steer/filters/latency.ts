/**
 * Filter `latency`: sorts by round-trip time (ruling 6).
 *
 * What a region costs a client, in ms: the RTT measured from the client's network; else the probe's own RTT, where the
 * client is near the vantage; else the prior that distance gives. To this comes how far the region's probe RTT lies
 * above its baseline (the probe's own RTT has it in already).
 *
 * What is measured has the client's access network in it (a radio link adds 40 ms to every region), what is estimated has
 * not. So estimates of a client of whom something was measured are lifted by what its measured regions have in common above
 * theirs: a region that alone was measured does not lose by it.
 *
 * Hearsay (beacons of pages) sways the estimate, by `HEARSAY_CAP_MS` at most, and where there is one to sway; a probe's own
 * RTT beats it.
 *
 * Probes move clients only by more than the slack: the choice without probes stays unless another region is better by
 * more than that. Regions that are equally fast therefore never swap.
 * @module
 */
import { isHearsay, rttMicrosOf } from "#state/client-map.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import type { Candidate, Candidates } from "#steer/candidate.ts";
import { priorRttMs } from "#steer/distance.ts";
import type { FilterContext, FilterDefinition } from "#steer/filter.ts";

type Cost = {
  readonly candidate: Candidate;
  readonly withoutProbesMs: number;
  readonly ms: number;
  /** Where it comes from, for explain. */
  readonly by: string;
};

/** About what 2,000 km of distance are worth: beacons choose among neighbours, not among continents. */
const HEARSAY_CAP_MS = 30;

/** What was measured by somebody whom we trust, in µs; 0: nothing. */
function trustedMicros(candidate: Candidate, { measuredMicros }: FilterContext): number {
  const value = measuredMicros?.[candidate.index] ?? 0;
  return isHearsay(value) ? 0 : value;
}

/**
 * What all regions of which something is known have in common above their estimates, in ms; 0 where nothing is. Hearsay
 * counts where there is nothing better.
 */
function accessMs(candidates: Candidates, context: FilterContext): number {
  if (context.measuredMicros === undefined) return 0;
  const hasTrusted = candidates.some((candidate) => trustedMicros(candidate, context) > 0);
  let leastMs = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const value = context.measuredMicros[candidate.index]!;
    const km = context.facts.distanceKm[candidate.factsIndex] ?? -1;
    if (value === 0 || km < 0 || (hasTrusted && isHearsay(value))) continue;
    leastMs = Math.min(leastMs, rttMicrosOf(value) / 1_000 - priorRttMs(km));
  }
  return leastMs === Number.POSITIVE_INFINITY ? 0 : Math.max(0, leastMs);
}

function swayed(estimateMs: number, value: number): number {
  if (!isHearsay(value)) return estimateMs;
  const saidMs = rttMicrosOf(value) / 1_000;
  return Math.max(1, estimateMs - HEARSAY_CAP_MS, Math.min(estimateMs + HEARSAY_CAP_MS, saidMs));
}

/** Undefined where nothing is known of the way from this client to the region. */
function costOf(candidate: Candidate, context: FilterContext, commonMs: number): Cost | undefined {
  const state = context.states[candidate.index]!;
  const measuredMicros = trustedMicros(candidate, context);
  const km = context.facts.distanceKm[candidate.factsIndex] ?? -1;
  if (measuredMicros > 0) {
    const ms = measuredMicros / 1_000;
    return { candidate, withoutProbesMs: ms, ms: ms + state.excessRttMs, by: "measured" };
  }
  if (km < 0) return undefined;
  const said = context.measuredMicros?.[candidate.index] ?? 0;
  const withoutProbesMs = swayed(priorRttMs(km) + commonMs, said);
  const isProbeNear = context.facts.isNearVantage && state.probeRttMs > 0;
  return {
    candidate,
    withoutProbesMs,
    ms: isProbeNear ? state.probeRttMs + commonMs : withoutProbesMs + state.excessRttMs,
    by: isProbeNear ? "by a probe near the client" : said === 0 ? "by distance" : "by distance and what pages say",
  };
}

export const latency: FilterDefinition<Extract<FilterSpec, { name: "latency" }>> = {
  kind: "sort",
  uses: { geo: true, state: true, hash: false },
  run(candidates, spec, context) {
    const known: Cost[] = [];
    const unknown: Candidate[] = [];
    const commonMs = accessMs(candidates, context);
    for (const candidate of candidates) {
      const cost = costOf(candidate, context, commonMs);
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
      context.note(
        cost!.candidate,
        `${cost!.ms.toFixed(1)} ms (${cost!.withoutProbesMs.toFixed(1)} without probes; ${cost!.by})`,
      );
      sorted.push(cost!.candidate);
    }
    return [...sorted, ...unknown];
  },
  mayRoll: () => 0,
};
