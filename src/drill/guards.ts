/**
 * What ends a drill before its time: judged each second, by what was seen of the last five.
 *
 * Never:   looks by itself. The runner says what is seen, and aborts.
 * @module
 */
import type { LoadSecond } from "#drill/load/protocol.ts";
import { lostOf, requestsOf } from "#drill/measure-requests.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { durationText, shareText } from "#drill/report/words.ts";
import type { Guards } from "#drill/scenario.ts";

/** Seconds of load that a guard looks back. */
export const GUARD_SPAN_MS = 5_000;
/** With fewer requests in that time, a share says nothing. */
const REQUESTS_TO_JUDGE = 20;

export type Seen = {
  readonly elapsedMs: number;
  readonly nowMs: number;
  readonly seconds: readonly LoadSecond[];
  /** Regions that DNS nodes send clients to; undefined: no node says. */
  readonly regionsUp: number | undefined;
  /** Overrides and evacuations that are not the drill's. */
  readonly strangers: readonly string[];
};

export type GuardKeeper = {
  /** @returns why the drill has to end; undefined: it goes on */
  check(seen: Seen): string | undefined;
  results(): DrillReport["guards"];
};

type Row = DrillReport["guards"][number];

/** @returns the share of requests that failed over the span; undefined: too few to say */
export function errorRateOf(seconds: readonly LoadSecond[], nowMs: number): number | undefined {
  const recent = seconds.filter(({ atMs }) => atMs >= nowMs - GUARD_SPAN_MS);
  const requests = recent.reduce((sum, second) => sum + requestsOf(second), 0);
  if (requests < REQUESTS_TO_JUDGE) return undefined;
  return recent.reduce((sum, second) => sum + lostOf(second), 0) / requests;
}

export function createGuards(guards: Guards): GuardKeeper {
  let worstRate = 0;
  let longestMs = 0;
  let fewest: number | undefined;
  let strangers: readonly string[] = [];
  const broken = new Set<string>();

  const judge = (guard: string, isBroken: boolean, says: () => string): string | undefined => {
    if (!isBroken) return undefined;
    broken.add(guard);
    return says();
  };

  return {
    check({ elapsedMs, nowMs, seconds, regionsUp, strangers: now }) {
      const rate = errorRateOf(seconds, nowMs) ?? 0;
      worstRate = Math.max(worstRate, rate);
      longestMs = Math.max(longestMs, elapsedMs);
      if (regionsUp !== undefined) fewest = Math.min(fewest ?? regionsUp, regionsUp);
      if (now.length > 0) strangers = now;
      const { errorRate = 1, minHealthyRegions = 0, maxDurationMs, isAlone } = guards;
      return (
        judge("errorRate", rate > errorRate, () => `${shareText(rate)} of requests failed over the last 5 s`) ??
        judge(
          "minHealthyRegions",
          (regionsUp ?? minHealthyRegions) < minHealthyRegions,
          () => `only ${regionsUp} regions are up`,
        ) ??
        judge("maxDuration", elapsedMs > maxDurationMs, () => `it lasts longer than ${durationText(maxDurationMs)}`) ??
        judge("alone", isAlone && now.length > 0, () => `somebody else is at work: ${now.join(", ")}`)
      );
    },
    results() {
      const rows: Row[] = [];
      const add = (guard: string, limit: string, worst: string): void => {
        rows.push({ guard, limit, worst, isBroken: broken.has(guard) });
      };
      if (guards.errorRate !== undefined) add("errorRate", shareText(guards.errorRate), shareText(worstRate));
      if (guards.minHealthyRegions !== undefined)
        add("minHealthyRegions", String(guards.minHealthyRegions), String(fewest ?? "nobody said"));
      add("maxDuration", durationText(guards.maxDurationMs), durationText(longestMs));
      if (guards.isAlone) add("alone", "no other hand", strangers.join(", ") || "none");
      return rows;
    },
  };
}
