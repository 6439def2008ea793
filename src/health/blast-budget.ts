/**
 * Blast budget: how much automation may turn down within 60 s before it must suspect itself. Pure.
 *
 * All that turns down within the window may lie in one region, or be 30 % of the probed targets, whichever is more. What
 * goes beyond is frozen: it keeps the last verdict, marked low confidence, and an alarm is raised. Overrides, and verdicts
 * restored after a restart, cost nothing.
 *
 * Thaw: as soon as the window lets it, the target that was frozen first turns down, then the next. A frozen target whose
 * probes pass again is simply no longer frozen.
 * @module
 */
const BLAST_WINDOW_MS = 60_000;
const BLAST_SHARE = 0.3;

/** One target that automation turned down. */
export type Spent = { readonly atMs: number; readonly regions: readonly string[] };

export const withinWindow = (spent: readonly Spent[], nowMs: number): readonly Spent[] =>
  spent.filter((entry) => nowMs - entry.atMs < BLAST_WINDOW_MS);

/**
 * @param spent what was turned down within the window
 * @param regions regions of the target in question; several where they share an address
 * @param probedTargets number of all probed targets
 */
export function mayTurnDown(spent: readonly Spent[], regions: readonly string[], probedTargets: number): boolean {
  if (spent.length + 1 <= Math.floor(BLAST_SHARE * probedTargets)) return true;
  return regions.some((region) => spent.every((entry) => entry.regions.includes(region))) || spent.length === 0;
}
