/**
 * Reading the plan with the regions as they are now: which of its rows hold for a class.
 * @module
 */

import {
  copySpread,
  NO_LOSS,
  type SpreadCopy,
  type SpreadMoves,
  type SpreadShares,
  spreadGeneration,
} from "#state/spread.ts";
import type { BoundService } from "#steer/candidate.ts";
import type { RegionState } from "#steer/region-state.ts";
import { RANK } from "#steer/region-state.ts";
import { ROLL_VALUES } from "#steer/rolls.ts";

/** A worker's or explain's own view of the door. */
export type SpreadReader = {
  generation(): number;
  /** Takes the newest generation. @returns 0: no plan for the service */
  version(service: number): number;
  copy(): SpreadCopy;
  moves(service: number, classNumber: number, lost: readonly number[]): SpreadMoves;
};

/** @param numbering what numbers mean to the reader: a plan that was made for other classes is none */
export function createSpreadReader(door: Int32Array | undefined, numbering: number): SpreadReader {
  let plan = door === undefined ? undefined : copySpread(door);
  const nothing = copySpread(new Int32Array(1));
  return {
    generation: () => (door === undefined ? 0 : spreadGeneration(door)),
    version(service) {
      if (door !== undefined && plan!.generation !== spreadGeneration(door)) plan = copySpread(door);
      return plan?.numbering === numbering ? plan.version(service) : 0;
    },
    copy: () => plan ?? nothing,
    moves: (service, classNumber, lost) => movesUnder(plan ?? nothing, service, classNumber, lost),
  };
}

/** Numbers of the service's regions that the plan counts on and that are not up. */
export const lostRegions = (plan: SpreadCopy, service: BoundService, states: readonly RegionState[]): number[] =>
  service.candidates
    .filter(({ index, regionNumber }) => plan.isCounted(regionNumber) && states[index]!.rank !== RANK.up)
    .map(({ regionNumber }) => regionNumber);

/**
 * The rows for the loss of one region were made ahead. When a second one goes before there is a new plan, its share in them
 * goes to those that are left, in proportion.
 */
export function movesUnder(
  plan: SpreadCopy,
  service: number,
  classNumber: number,
  lost: readonly number[],
): SpreadMoves {
  const [first = NO_LOSS, ...others] = lost;
  const moves = plan.moves(service, classNumber, first);
  if (others.length === 0) return moves;
  const left = new Map<number, SpreadShares>();
  for (const [natural, shares] of moves) {
    const without = leaveOut(shares, others);
    if (without !== undefined) left.set(natural, without);
  }
  return left;
}

function leaveOut({ regions, ends }: SpreadShares, lost: readonly number[]): SpreadShares | undefined {
  const kept = regions.flatMap((region, index) =>
    lost.includes(region) ? [] : { region, share: ends[index]! - (ends[index - 1] ?? 0) },
  );
  const sum = kept.reduce((total, { share }) => total + share, 0);
  if (sum === 0) return undefined;
  let end = 0;
  return {
    regions: kept.map(({ region }) => region),
    ends: kept.map(({ share }) => {
      end += share;
      return Math.round((end * ROLL_VALUES) / sum);
    }),
  };
}
