/**
 * What one vantage makes of a series of probe results: a full table and one pure `next()`.
 *
 * While up, every failure counts, and passes in between do not forgive it: only `ok` passes in a row clear the count. So a
 * target that fails every other time goes down, which "n failures in a row" never sees (hysteresis as in gdnsd). It goes
 * down when `down` failures have come in and they span at least `downSpanMs`; it comes up after `up` passes in a row.
 *
 * The first state is up without evidence: optimistic.
 *
 * Units:   steady ms, a clock that never steps (`Clock.monotonicMs`); whoever shows a time to people converts it.
 * @module
 */
export type MachineName = "up" | "failing" | "down" | "recovering";
export type ProbeOutcome = "pass" | "fail";

export type Machine = {
  readonly name: MachineName;
  /** Failures that count towards down; 0 but in `failing`. */
  readonly failures: number;
  /** Passes in a row: towards clearing (`failing`) or towards up (`recovering`). */
  readonly streak: number;
  /** When the first failure that counts came in; 0 but in `failing`. */
  readonly firstFailureAtMs: number;
  /** Since when the verdict (up or down) holds. */
  readonly sinceMs: number;
  /** False until the first result: the verdict is a guess. */
  readonly hasEvidence: boolean;
};

export type MachineLimits = {
  readonly thresholds: { readonly down: number; readonly up: number; readonly ok: number };
  readonly downSpanMs: number;
};

/** Where a result leads before the counts are looked at. */
const NEXT: Record<MachineName, Record<ProbeOutcome, MachineName>> = {
  up: { pass: "up", fail: "failing" },
  failing: { pass: "failing", fail: "failing" }, // leaves to "up" by streak, to "down" by count and span
  down: { pass: "recovering", fail: "down" },
  recovering: { pass: "recovering", fail: "down" }, // leaves to "up" by streak
};

export const isUp = (machine: Machine): boolean => machine.name === "up" || machine.name === "failing";

export const firstMachine = (verdict: "up" | "down", sinceMs: number): Machine => ({
  name: verdict,
  failures: 0,
  streak: 0,
  firstFailureAtMs: 0,
  sinceMs,
  hasEvidence: false,
});

const settled = (name: "up" | "down", sinceMs: number): Machine => ({
  ...firstMachine(name, sinceMs),
  hasEvidence: true,
});

/** @param atMs when the result came in */
export function next(now: Machine, outcome: ProbeOutcome, atMs: number, limits: MachineLimits): Machine {
  const name = NEXT[now.name][outcome];
  const streak = outcome === "pass" ? now.streak + 1 : 0;
  switch (name) {
    case "up":
      return now.hasEvidence ? now : settled("up", now.sinceMs);
    case "failing": {
      const failures = now.failures + (outcome === "fail" ? 1 : 0);
      const firstFailureAtMs = now.failures === 0 ? atMs : now.firstFailureAtMs;
      if (streak >= limits.thresholds.ok) return settled("up", now.sinceMs);
      const spans = atMs - firstFailureAtMs >= limits.downSpanMs;
      if (outcome === "fail" && failures >= limits.thresholds.down && spans) return settled("down", atMs);
      return { name, failures, streak, firstFailureAtMs, sinceMs: now.sinceMs, hasEvidence: true };
    }
    case "down":
      return now.name === "down" && now.hasEvidence ? now : settled("down", now.sinceMs);
    case "recovering":
      if (streak >= limits.thresholds.up) return settled("up", atMs);
      return { name, failures: 0, streak, firstFailureAtMs: 0, sinceMs: now.sinceMs, hasEvidence: true };
    default:
      return name satisfies never;
  }
}

/** No change in sight. */
export const QUIET = Number.POSITIVE_INFINITY;

/** What the scheduler promises about results to come. */
export type Outlook = {
  readonly nowMs: number;
  /** Probes that have been started and may end at any moment. */
  readonly outstanding: number;
  /** When the next probe starts, at the earliest. */
  readonly nextStartMs: number;
  /** The closest that two starts can be: while failing, and else. */
  readonly confirmSpacingMs: number;
  readonly minIntervalMs: number;
};

/**
 * The earliest moment at which the verdict can change, assuming that every result to come speaks for it and that probes
 * answer at once. Never later than the real flip.
 *
 * @returns steady ms; `QUIET` while up with no failure on the books
 */
export function nextFlipMs(machine: Machine, limits: MachineLimits, outlook: Outlook): number {
  if (machine.name === "up" && machine.hasEvidence) return QUIET;
  const isTowardsDown = isUp(machine);
  const wanted = isTowardsDown
    ? Math.max(1, limits.thresholds.down - machine.failures)
    : limits.thresholds.up - machine.streak;
  const spacingMs = isTowardsDown ? outlook.confirmSpacingMs : outlook.minIntervalMs;
  const started = wanted - outlook.outstanding;
  const byCountMs =
    started <= 0 ? outlook.nowMs : Math.max(outlook.nowMs, outlook.nextStartMs) + (started - 1) * spacingMs;
  if (!isTowardsDown) return byCountMs;
  const firstFailureMs = machine.failures > 0 ? machine.firstFailureAtMs : outlook.nowMs;
  return Math.max(byCountMs, firstFailureMs + limits.downSpanMs);
}
