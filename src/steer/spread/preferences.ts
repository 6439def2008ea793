/**
 * Where clients of a class would go, and where next if that were full: the service's own chain, asked again and again with the
 * choice before taken out. So a spread follows whatever the operator wrote: tiers, distances, weights, fences.
 *
 * Owns:    what each further choice costs a client.
 * Never:   looks at load, or at a spread that is in force: it asks what would be without.
 * Units:   ms of round-trip time beyond that of the first choice.
 * @module
 */
import type { BoundService, Candidate } from "#steer/candidate.ts";
import { runChain } from "#steer/chain.ts";
import { priorRttMs } from "#steer/distance.ts";
import type { World } from "#steer/filter.ts";
import { RANK, type RegionState } from "#steer/region-state.ts";
import { ROLL_VALUES, type Rolls } from "#steer/rolls.ts";

export type Preference = {
  /** First choice. */
  readonly natural: Candidate;
  /** Share of the class's clients whose first choice it is. */
  readonly share: number;
  /** Choices in order, the first included, and what each costs. */
  readonly choices: readonly { readonly candidate: Candidate; readonly cost: number }[];
};

/** Choices that are looked for; whoever is that far down the list is better served where it is full. */
const MAX_CHOICES = 12;
/** Where hashes decide, the chain is asked for so many clients, spread evenly over the rolls. */
const SAMPLES = 32;
/** Steps between them: irrational parts of the circle (the golden ratio, √2, √3). */
const STEPS = { main: 0.618034, second: 0.414214, ramp: 0.732051 };
/** What a further choice costs where distances are not known. */
const UNKNOWN_MS = 20;

const sample = (index: number): Rolls => {
  const at = (step: number): number => Math.floor(((index * step) % 1) * ROLL_VALUES);
  return { main: at(STEPS.main), second: at(STEPS.second), ramp: at(STEPS.ramp), spread: 0 };
};

/** Pure. @returns one entry for each first choice that some clients of the class have; none where nobody is up */
export function preferencesOf(service: BoundService, { facts, states, measuredMicros }: World): Preference[] {
  const world: World = {
    facts,
    measuredMicros,
    states: states.map((state) => ({ ...state, loadPermille: 0 })),
    spread: undefined,
  };
  const groups = new Map<Candidate, { rolls: Rolls; count: number }>();
  let samples = 1;
  for (let index = 0; index < samples; index++) {
    const rolls = sample(index);
    const { kept, outcome, isFailOpen, asked } = runChain(service, world, rolls);
    if (asked !== 0) samples = SAMPLES;
    if (outcome !== "answer" || isFailOpen) continue;
    const group = groups.get(kept[0]!);
    if (group === undefined) groups.set(kept[0]!, { rolls, count: 1 });
    else group.count++;
  }
  return [...groups].map(([natural, { rolls, count }]) => ({
    natural,
    share: count / samples,
    choices: withCosts(choicesOf(service, world, rolls), world),
  }));
}

function choicesOf(service: BoundService, world: World, rolls: Rolls): Candidate[] {
  const found: Candidate[] = [];
  const states: RegionState[] = [...world.states];
  while (found.length < Math.min(MAX_CHOICES, states.length)) {
    const { kept, outcome, isFailOpen } = runChain(service, { ...world, states }, rolls);
    if (outcome !== "answer" || isFailOpen) break;
    const choice = kept[0]!;
    found.push(choice);
    states[choice.index] = { ...states[choice.index]!, rank: RANK.overriddenDown };
  }
  return found;
}

/** Never less than the choice before it: the chain's order is the operator's, distance says how much it matters. */
function withCosts(choices: readonly Candidate[], { facts }: World): Preference["choices"] {
  const rttOf = ({ factsIndex }: Candidate): number | undefined => {
    const km = facts.distanceKm[factsIndex] ?? -1;
    return km < 0 ? undefined : priorRttMs(km);
  };
  const first = choices.length > 0 ? rttOf(choices[0]!) : undefined;
  let cost = 0;
  return choices.map((candidate, position) => {
    const rtt = rttOf(candidate);
    const asked = rtt === undefined || first === undefined ? position * UNKNOWN_MS : rtt - first;
    cost = position === 0 ? 0 : Math.max(cost + 1, asked);
    return { candidate, cost };
  });
}
