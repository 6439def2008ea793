/**
 * The one time axis of a report: seconds from the first second of load, with the steps and the events on it.
 * @module
 */
import type { DrillReport } from "#drill/report/shape.ts";

export type Mark = {
  readonly number: number;
  readonly at: number;
  readonly label: string;
  readonly kind: "fault" | "heal" | "step";
};
export type Tick = { readonly at: number; readonly severity: string };
export type Timeline = {
  readonly zeroMs: number;
  /** Seconds; at least 1. */
  readonly length: number;
  readonly marks: readonly Mark[];
  readonly ticks: readonly Tick[];
};

/** To 10 ms: no plot shows more, and it keeps the page small. */
const roundSeconds = (seconds: number): number => Math.round(seconds * 100) / 100;

export const secondsAt = ({ zeroMs }: Pick<Timeline, "zeroMs">, atMs: number): number =>
  roundSeconds((atMs - zeroMs) / 1000);

/** `kill eu-west`, `kill-exabgp eu-west`; what the action does not name keeps its kind: `kill backend/eu-west/1`. */
export function stepLabel({ action, target }: DrillReport["steps"][number]): string {
  const [kind = "", ...rest] = target.split("/");
  const isKindClear = kind === "region" || action.split("-").includes(kind);
  return `${action} ${isKindClear ? rest.join("/") : target}`.trim();
}

export function timelineOf(report: DrillReport): Timeline {
  const loadMs = report.seconds.map(({ atMs }) => atMs);
  const zeroMs = loadMs.reduce((least, atMs) => Math.min(least, atMs), loadMs[0] ?? report.startedAtMs);
  const lastMs = [
    ...loadMs.map((atMs) => atMs + 1000),
    ...report.steps.map(({ doneAtMs }) => doneAtMs),
    ...(loadMs.length === 0 ? [report.endedAtMs] : []),
  ].reduce((most, atMs) => Math.max(most, atMs), zeroMs);
  const length = Math.max(1, Math.ceil((lastMs - zeroMs) / 1000));
  const isOnAxis = ({ at }: { at: number }): boolean => at >= 0 && at <= length;
  return {
    zeroMs,
    length,
    marks: report.steps.map((step, index) => ({
      number: index + 1,
      at: Math.max(0, secondsAt({ zeroMs }, step.atMs)),
      label: stepLabel(step),
      kind: step.isFault ? "fault" : /^(heal|return)\b/.test(step.action) ? "heal" : "step",
    })),
    ticks: report.events.map(({ atMs, severity }) => ({ at: secondsAt({ zeroMs }, atMs), severity })).filter(isOnAxis),
  };
}

/** `0:07`, `2:05`. */
export function clockText(seconds: number): string {
  const whole = Math.floor(Math.max(0, seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
