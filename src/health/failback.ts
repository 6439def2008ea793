/**
 * How a region comes back after an outage: DOWN → HOLD → (APPROVAL) → RAMP → UP, a full table and pure steps.
 *
 * Hold: min(120 s, 4 × the outage), or what the configuration says, doubled for each recent flap; a flap counts half as
 * much after 15 minutes (the idea of RFC 2439's penalty), and no hold lasts more than an hour. `mode: manual` then waits for
 * an operator. The ramp follows only an outage of more than `rampAfterMs`.
 *
 * A relapse during hold or approval continues the outage: to clients, the region has not been back.
 *
 * While held, the published verdict is up with FLAG_HOLD, not down: the probes pass, and steering takes such a region
 * before one that is down when nothing better is left.
 * @module
 */
import { QUIET } from "#health/machine.ts";
import type { FailbackSpec } from "#state/snapshot.ts";

export type FailbackPhase = "up" | "down" | "hold" | "approval" | "ramp";

export type Failback = {
  readonly phase: FailbackPhase;
  /** Steady ms when the phase (in a ramp: the step) began. */
  readonly sinceMs: number;
  readonly downSinceMs: number;
  /** How long the last outage took, hold not included. */
  readonly outageMs: number;
  /** How long the hold takes, while in hold. */
  readonly holdMs: number;
  /** Flaps, decayed up to `penaltyAtMs`. */
  readonly penalty: number;
  readonly penaltyAtMs: number;
  /** Index into the ramp's steps. */
  readonly step: number;
};

const PENALTY_HALF_LIFE_MS = 15 * 60_000;
const HOLD_CAP_MS = 3_600_000;
const AUTO_HOLD_CAP_MS = 120_000;
const AUTO_HOLD_FACTOR = 4;

export const firstFailback = (nowMs: number): Failback => ({
  phase: "up",
  sinceMs: nowMs,
  downSinceMs: nowMs,
  outageMs: 0,
  holdMs: 0,
  penalty: 0,
  penaltyAtMs: nowMs,
  step: 0,
});

const decayedPenalty = (now: Failback, nowMs: number): number =>
  now.penalty * 0.5 ** (Math.max(0, nowMs - now.penaltyAtMs) / PENALTY_HALF_LIFE_MS);

/** @param penalty flaps including the present one: 1 for the first outage in a long time */
export function holdFor(outageMs: number, penalty: number, spec: FailbackSpec): number {
  const baseMs = spec.holdMs === "auto" ? Math.min(AUTO_HOLD_CAP_MS, AUTO_HOLD_FACTOR * outageMs) : spec.holdMs;
  return Math.min(Math.max(HOLD_CAP_MS, baseMs), baseMs * 2 ** Math.max(0, penalty - 1));
}

function goDown(now: Failback, nowMs: number, isRelapse: boolean): Failback {
  return {
    ...now,
    phase: "down",
    sinceMs: nowMs,
    downSinceMs: isRelapse ? now.downSinceMs : nowMs,
    penalty: decayedPenalty(now, nowMs) + 1,
    penaltyAtMs: nowMs,
    step: 0,
  };
}

function enterService(now: Failback, nowMs: number, spec: FailbackSpec): Failback {
  const isRamp = now.outageMs > spec.rampAfterMs && (spec.ramp[0] ?? 100) < 100;
  return { ...now, phase: isRamp ? "ramp" : "up", sinceMs: nowMs, step: 0 };
}

/** Steady ms of the next change that time alone brings; QUIET when there is none. */
export function nextPlannedMs(now: Failback, spec: FailbackSpec): number {
  if (now.phase === "hold") return now.sinceMs + now.holdMs;
  if (now.phase === "ramp") return now.sinceMs + spec.rampStepMs;
  return QUIET;
}

/** Takes the health of the region and the time into account; returns `now` itself when nothing changes. */
export function stepFailback(now: Failback, isHealthy: boolean, nowMs: number, spec: FailbackSpec): Failback {
  switch (now.phase) {
    case "up":
      return isHealthy ? now : goDown(now, nowMs, false);
    case "down": {
      if (!isHealthy) return now;
      const outageMs = nowMs - now.downSinceMs;
      const holdMs = holdFor(outageMs, decayedPenalty(now, nowMs), spec);
      const held: Failback = { ...now, phase: "hold", sinceMs: nowMs, outageMs, holdMs };
      return stepFailback(held, true, nowMs, spec);
    }
    case "hold":
      if (!isHealthy) return goDown(now, nowMs, true);
      if (nowMs < now.sinceMs + now.holdMs) return now;
      return spec.mode === "manual" ? { ...now, phase: "approval", sinceMs: nowMs } : enterService(now, nowMs, spec);
    case "approval":
      if (!isHealthy) return goDown(now, nowMs, true);
      return spec.mode === "manual" ? now : enterService(now, nowMs, spec);
    case "ramp": {
      if (!isHealthy) return goDown(now, nowMs, false);
      if (nowMs < now.sinceMs + spec.rampStepMs) return now;
      const step = now.step + 1;
      const isDone = (spec.ramp[step] ?? 100) >= 100;
      return { ...now, phase: isDone ? "up" : "ramp", sinceMs: nowMs, step: isDone ? 0 : step };
    }
    default:
      return now.phase satisfies never;
  }
}

/** An operator says that a held region may come back now; `now` itself when it is not held. */
export const approve = (now: Failback, nowMs: number, spec: FailbackSpec): Failback =>
  now.phase === "hold" || now.phase === "approval" ? enterService(now, nowMs, spec) : now;

/** An override `down` has ended: a healthy region returns through the ramp, as after an outage of that length. */
export const returnFromOverride = (now: Failback, downForMs: number, nowMs: number, spec: FailbackSpec): Failback =>
  now.phase === "up" ? enterService({ ...now, outageMs: downForMs }, nowMs, spec) : now;

/** The outage was none: the region goes on as if it had not been out. */
export const annul = (now: Failback, nowMs: number): Failback =>
  now.phase === "down" || now.phase === "hold"
    ? {
        ...now,
        phase: "up",
        sinceMs: nowMs,
        penalty: Math.max(0, decayedPenalty(now, nowMs) - 1),
        penaltyAtMs: nowMs,
        step: 0,
      }
    : now;

export const rampPercent = (now: Failback, spec: FailbackSpec): number =>
  now.phase === "ramp" ? (spec.ramp[now.step] ?? 100) : 100;

export const isHeld = (now: Failback): boolean => now.phase === "hold" || now.phase === "approval";
