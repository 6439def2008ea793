/**
 * Does this node's own serving work? Results of the self-check, and what the balancer says of its pools, → up or down.
 *
 * Down after `downMs` without a good result since the first bad one (ruling 19), up after `upMs` of good ones. Nothing that
 * other machines say enters here: a node that is cut off from Redis, peers or other regions serves its clients all the same.
 *
 * Units:   ms of a steady clock.
 * @module
 */
export type Serving = {
  readonly state: "unknown" | "up" | "down";
  readonly sinceMs: number;
  /** Since when results are all good, or all bad. */
  readonly streak: { readonly isOk: boolean; readonly sinceMs: number } | undefined;
  /** What the last result said. */
  readonly says: string;
};
export type ServingTerms = { readonly downMs: number; readonly upMs: number };

export const notYetChecked = (nowMs: number): Serving => ({
  state: "unknown",
  sinceMs: nowMs,
  streak: undefined,
  says: "not checked yet",
});

export function takeResult(
  now: Serving,
  result: { readonly isOk: boolean; readonly says: string },
  nowMs: number,
  terms: ServingTerms,
): Serving {
  const streak = now.streak?.isOk === result.isOk ? now.streak : { isOk: result.isOk, sinceMs: nowMs };
  return lookAgain({ ...now, streak, says: result.says }, nowMs, terms);
}

/** Time has passed: a check that hangs must not keep a dead node announced. */
export function lookAgain(now: Serving, nowMs: number, terms: ServingTerms): Serving {
  const { streak } = now;
  if (!streak) return now;
  const lastedMs = nowMs - streak.sinceMs;
  if (streak.isOk && now.state !== "up" && lastedMs >= terms.upMs) return { ...now, state: "up", sinceMs: nowMs };
  if (!streak.isOk && now.state !== "down" && lastedMs >= terms.downMs)
    return { ...now, state: "down", sinceMs: nowMs };
  return now;
}
