/**
 * A decision: what the chain chose, and which regions it depends on.
 *
 * Owns:    the question "whose change would change this answer?", which the TTL is made from (spec: TTL = time to the
 *          next possible change). It is answered by playing through: the chain runs again with the verdicts of the
 *          regions turned over that have announced a change.
 * Never:   reads a clock: what is announced stands in the states, when stands in the flip times of the reader.
 * @module
 */
import type { BoundService } from "#steer/candidate.ts";
import { type ChainResult, runChain, type Tracer } from "#steer/chain.ts";
import type { World } from "#steer/filter.ts";
import { FULL_SHARE, RANK, type RegionState } from "#steer/region-state.ts";
import type { Rolls } from "#steer/rolls.ts";

export type Decision = ChainResult & {
  /** Candidate indexes whose announced change may change this answer; a change of all others does not. */
  readonly dependsOn: readonly number[];
  /** Rolls that were asked for in any run: what a memo of the decision has to be keyed by. */
  readonly askedInAll: number;
};

/** More regions in motion than this (2^4 runs of the chain), and all of them count. */
const MAX_PLAYED = 4;

/** Pure: equal arguments, equal decision. */
export function decide(service: BoundService, world: World, rolls: Rolls, tracer?: Tracer): Decision {
  const result = runChain(service, world, rolls, tracer);
  const moving = service.candidates.filter(({ index }) => !world.states[index]!.isQuiet);
  if (moving.length === 0) return { ...result, dependsOn: [], askedInAll: result.asked };

  let askedInAll = result.asked;
  const dependsOn = new Set<number>();
  const played: number[] = [];
  for (const candidate of moving) {
    const isPlain = world.states[candidate.index]!.isPlainVerdict;
    // What is in the answer counts in any case: its addresses come and go as well.
    if (result.kept.includes(candidate) || !isPlain) dependsOn.add(candidate.index);
    if (isPlain) played.push(candidate.index);
  }
  if (played.length > MAX_PLAYED) return { ...result, dependsOn: moving.map(({ index }) => index), askedInAll };

  const changing: number[] = [];
  for (const subset of subsetsBySize(played.length)) {
    // The larger set can change nothing earlier than the smaller one inside it.
    if (changing.some((smaller) => (subset & smaller) === smaller)) continue;
    const states = world.states.map((state, index) =>
      (subset >>> played.indexOf(index)) & 1 && played.includes(index) ? turnedOver(state) : state,
    );
    const other = runChain(service, { ...world, states }, rolls);
    askedInAll |= other.asked;
    if (isSame(result, other)) continue;
    changing.push(subset);
    for (const [bit, index] of played.entries()) if ((subset >>> bit) & 1) dependsOn.add(index);
  }
  return { ...result, dependsOn: [...dependsOn].sort((a, b) => a - b), askedInAll };
}

const bitCount = (set: number): number => (set === 0 ? 0 : (set & 1) + bitCount(set >>> 1));

/** All subsets of `count` things but the empty one, smaller ones first. */
const subsetsBySize = (count: number): number[] =>
  Array.from({ length: 2 ** count - 1 }, (_, index) => index + 1).sort((a, b) => bitCount(a) - bitCount(b));

const turnedOver = (state: RegionState): RegionState =>
  state.rank === RANK.up
    ? { ...state, rank: RANK.down, share: 0 }
    : { ...state, rank: RANK.up, share: FULL_SHARE, rankOutsideShare: RANK.up };

const isSame = (a: ChainResult, b: ChainResult): boolean =>
  a.outcome === b.outcome &&
  a.fallback === b.fallback &&
  a.kept.length === b.kept.length &&
  a.kept.every((candidate, index) => candidate === b.kept[index]);
