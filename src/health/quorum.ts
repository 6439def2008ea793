/**
 * From the votes on an endpoint to its verdict: pure, so that all nodes that have the same votes decide alike.
 *
 * With one vantage its vote decides. With more: down needs `quorum` fresh votes for down, up needs `quorum` for up; else the
 * last verdict stays, marked low confidence. Where there have been fewer than two fresh votes for 30 s, what evidence there
 * is decides, marked low confidence. A region's own report is one vote more: its yes counts as a vote for up, its no decides
 * (docs/decisions/0080-a-region-says-no.md says why).
 *
 * Votes are fresh, or they are not counted; those of a vantage in quarantine are not counted either, and the quorum is then
 * at most the number of vantages that are left.
 * @module
 */
import { QUIET } from "#health/machine.ts";

/** Fresh votes that count. */
export type Tally = {
  /** Of vantages. */
  readonly up: number;
  readonly down: number;
  /** The region's own: it serves, it does not, or nothing that counts was heard. */
  readonly word: "yes" | "no" | undefined;
};

/**
 * `quorum`: enough votes agree. `region`: it has said no. `scarce`: a single vote, for want of others. `last`: nobody can
 * decide, the last verdict stays.
 */
export type Basis = "quorum" | "region" | "scarce" | "last";

export type Decision = {
  readonly isUp: boolean;
  readonly basis: Basis;
  /** The last verdict stays although some vote is against it. */
  readonly isHeld: boolean;
};

/** How long the last verdict outlives its evidence, in ms. */
export const SCARCE_AFTER_MS = 30_000;
const ENOUGH_VOTES = 2;

/** Fewer vantages than two have something to say: a region's word is no probe. */
export const isScarce = ({ up, down }: Tally, quorum: number): boolean => quorum > 1 && up + down < ENOUGH_VOTES;

/**
 * @param isLastUp the verdict so far
 * @param scarceMs for how long there have been too few fresh votes; 0 when there are enough
 */
export function decide(tally: Tally, quorum: number, isLastUp: boolean, scarceMs: number): Decision {
  const { up, down, word } = tally;
  const votesUp = up + (word === "yes" ? 1 : 0);
  if (word === "no") return { isUp: false, basis: "region", isHeld: false };
  if (down >= quorum) return { isUp: false, basis: "quorum", isHeld: false };
  if (votesUp >= quorum) return { isUp: true, basis: "quorum", isHeld: false };
  if (isScarce(tally, quorum) && scarceMs >= SCARCE_AFTER_MS && up + down > 0)
    return { isUp: up > 0, basis: "scarce", isHeld: false };
  return { isUp: isLastUp, basis: "last", isHeld: (isLastUp ? down : votesUp) > 0 };
}

/** @param excluded configured vantages that are in quarantine */
export const quorumWithout = (quorum: number, configured: number, excluded: number): number =>
  Math.max(1, Math.min(quorum, configured - excluded));

/**
 * The earliest moment at which the votes can overturn the verdict.
 *
 * @param against fresh votes that are against it already
 * @param turns moments at which each of those for it can turn, QUIET included; sorted in place
 * @returns steady ms, or QUIET
 */
export function earliestTurnMs(against: number, quorum: number, turns: number[]): number {
  const needed = Math.max(1, quorum - against);
  if (needed > turns.length) return QUIET;
  return turns.sort((a, b) => a - b)[needed - 1]!;
}
