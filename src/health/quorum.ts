/**
 * From the votes of vantages to a verdict: a pure function, so that every node that has the same votes decides alike.
 *
 * With one vantage its vote decides. With more: down needs `quorum` fresh votes for down, up needs `quorum` for up; else
 * the last verdict holds, marked low confidence. Where fewer than two (or than the quorum, if that is one) fresh votes have
 * been there for 30 s, what evidence there is decides, marked low confidence.
 * @module
 */
export type Vote = {
  readonly vantage: string;
  readonly isUp: boolean;
  /** Its evidence is at most three intervals old. */
  readonly isFresh: boolean;
};

export type Decision = { readonly isUp: boolean; readonly isLowConfidence: boolean };

/** How long the last verdict outlives its evidence, in ms. */
const EVIDENCE_GRACE_MS = 30_000;

/**
 * @param isLastUp the verdict so far
 * @param starvedMs for how long there have been too few fresh votes; 0 when there are enough
 */
export function decide(votes: readonly Vote[], quorum: number, isLastUp: boolean, starvedMs: number): Decision {
  const fresh = votes.filter((vote) => vote.isFresh);
  const good = fresh.filter((vote) => vote.isUp).length;
  const bad = fresh.length - good;
  if (quorum > 1 && fresh.length < 2 && starvedMs >= EVIDENCE_GRACE_MS && fresh.length > 0) {
    return { isUp: good > 0, isLowConfidence: true };
  }
  if (bad >= quorum) return { isUp: false, isLowConfidence: false };
  if (good >= quorum) return { isUp: true, isLowConfidence: false };
  return { isUp: isLastUp, isLowConfidence: true };
}
