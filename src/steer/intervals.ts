/**
 * Which rolls a compiled answer depends on, and how far they can be told apart.
 *
 * Owns:    the keys of compiled answers. `main` counts in full. The others are only ever compared with shares, so all
 *          rolls between two neighbouring cuts are one: a ramp in two regions makes five intervals, not 4,096.
 * @module
 */
import type { SpreadMoves } from "#state/spread.ts";
import type { BoundService } from "#steer/candidate.ts";
import type { World } from "#steer/filter.ts";
import { isPartial, type RegionState } from "#steer/region-state.ts";
import { ROLL, ROLL_VALUES, shareCuts } from "#steer/rolls.ts";
import { filterFor } from "#steer/table.ts";

/** Roll → interval. */
export type Intervals = { readonly of: Uint16Array; readonly count: number };

/** Nothing depends on the roll. */
export const WHOLE: Intervals = { of: new Uint16Array(ROLL_VALUES), count: 1 };

function intervalsOf(cuts: readonly number[]): Intervals {
  const inside = [...new Set(cuts)].filter((cut) => cut > 0 && cut < ROLL_VALUES).sort((a, b) => a - b);
  if (inside.length === 0) return WHOLE;
  const of = new Uint16Array(ROLL_VALUES);
  for (const [index, cut] of inside.entries()) of.fill(index + 1, cut);
  return { of, count: inside.length + 1 };
}

export const rampIntervals = (service: BoundService, states: readonly RegionState[]): Intervals =>
  intervalsOf(
    service.candidates
      .filter(({ index }) => isPartial(states[index]!))
      .flatMap(({ index, region }) => shareCuts(region.hash, states[index]!.share)),
  );

export const secondIntervals = (service: BoundService, states: readonly RegionState[]): Intervals =>
  intervalsOf(
    service.spec.chain.flatMap((filter) => filterFor(filter).cuts?.(filter, service.candidates, states) ?? []),
  );

export const spreadIntervals = (moves: SpreadMoves | undefined): Intervals =>
  moves === undefined || moves.size === 0 ? WHOLE : intervalsOf([...moves.values()].flatMap(({ ends }) => ends));

/** Set of `ROLL` bits that the chain may ask for in this world. */
export function mayRoll(service: BoundService, world: World): number {
  let set = world.states.some(isPartial) ? ROLL.ramp : 0;
  if (world.spread !== undefined && world.spread.size > 0) set |= ROLL.spread;
  for (const filter of service.spec.chain) set |= filterFor(filter).mayRoll(filter, service.candidates, world);
  return set;
}
