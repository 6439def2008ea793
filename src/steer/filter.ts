/**
 * The shape of a filter: a pure function, candidates in, candidates out.
 *
 * Owns:    the types; `table.ts` lists the filters, `chain.ts` runs them.
 * @module
 */
import type { ClassFacts } from "#state/class-facts.ts";
import type { SpreadMoves } from "#state/spread.ts";
import type { Candidate, Candidates } from "#steer/candidate.ts";
import type { RegionState } from "#steer/region-state.ts";
import type { RollName } from "#steer/rolls.ts";

/** All that an answer depends on apart from the rolls. */
export type World = {
  readonly facts: ClassFacts;
  /** Per candidate, in the service's order. */
  readonly states: readonly RegionState[];
  /** RTT measured from the client's network in µs per candidate, with `HEARSAY` or without; 0: not measured. Undefined: nothing was measured. */
  readonly measuredMicros: readonly number[] | undefined;
  /** Where the plan sends clients of this class, as the regions are now. Undefined: there is no plan for the service. */
  readonly spread?: SpreadMoves | undefined;
};

export type FilterContext = World & {
  /** The client's roll. To ask is to make the answer depend on it, so ask only where it decides something. */
  roll(name: RollName): number;
  /** Tells explain why a candidate is dropped or moved. */
  note(candidate: Candidate, reason: string): void;
};

export type FilterDefinition<Spec> = {
  readonly kind: "sift" | "sort" | "split" | "limit";
  readonly uses: { readonly geo: boolean; readonly state: boolean; readonly hash: boolean };
  /** @returns some of the candidates; of a sift possibly none, and then the empty rule decides */
  run(candidates: Candidates, spec: Spec, context: FilterContext): Candidates;
  /** Set of `ROLL` bits that `run` may ask for in this world, whichever candidates are left. */
  mayRoll(spec: Spec, candidates: Candidates, world: World): number;
  /**
   * For the roll `second`: values at which the outcome may change; it is the same for all rolls between two cuts.
   * (The cuts of `ramp` follow from the states alone.) `intervals.ts` makes tables of them.
   */
  cuts?(spec: Spec, candidates: Candidates, states: readonly RegionState[]): readonly number[];
};
