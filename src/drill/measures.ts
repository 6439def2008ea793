/**
 * All measures of a run, held against what the drill expects. Pure.
 * @module
 */
import type { Collected, Sample } from "#drill/collected.ts";
import { unitOf } from "#drill/config.ts";
import { nearestRank } from "#drill/load/percentile.ts";
import {
  changedAnswer,
  detection,
  emptyAnswers,
  failovers,
  returnedAnswer,
  wrongAnswers,
} from "#drill/measure-answers.ts";
import {
  dnsDrain,
  lostAnycast,
  lostQueries,
  lostRequests,
  outage,
  overCapacity,
  spilled,
} from "#drill/measure-requests.ts";
import { anycastFailover, bgpConvergence } from "#drill/measure-routes.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { type Bound, MEASURES, type Measure, type Scenario } from "#drill/scenario.ts";

const SAMPLES: Readonly<Record<Measure, (collected: Collected) => Sample[]>> = {
  detection,
  changedAnswer,
  returnedAnswer,
  bgpConvergence,
  anycastFailover,
  dnsDrain,
  outage,
  lostRequests,
  lostAnycast,
  lostQueries,
  wrongAnswers,
  emptyAnswers,
  failovers,
  overCapacity,
  spilled,
};

export type MeasureResult = DrillReport["measures"][number];

/** What was expected and could not be measured is not met: a drill whose load never ran must not pass. */
function isMet(bound: Bound, sorted: readonly number[]): boolean {
  if (sorted.length === 0) return false;
  const { p99 = Number.POSITIVE_INFINITY, max = Number.POSITIVE_INFINITY, min = Number.NEGATIVE_INFINITY } = bound;
  return nearestRank(sorted, 0.99) <= p99 && sorted.at(-1)! <= max && sorted[0]! >= min;
}

export function resultOf(measure: Measure, samples: readonly Sample[], bound: Bound | undefined): MeasureResult {
  const sorted = samples.map(({ value }) => value).sort((a, b) => a - b);
  return {
    measure,
    unit: unitOf(measure),
    samples,
    p50: sorted.length === 0 ? null : nearestRank(sorted, 0.5),
    p99: sorted.length === 0 ? null : nearestRank(sorted, 0.99),
    most: sorted.at(-1) ?? null,
    bound: bound ?? null,
    isMet: bound === undefined ? null : isMet(bound, sorted),
  };
}

/** @returns what was measured or expected, in the order of `MEASURES` */
export const measure = (collected: Collected, expect: Scenario["expect"]): MeasureResult[] =>
  MEASURES.map((name) => resultOf(name, SAMPLES[name](collected), expect[name])).filter(
    ({ samples, bound }) => samples.length > 0 || bound !== null,
  );

/** Samples of several runs of one drill together, in the order of `MEASURES`: percentiles of few samples say little. */
export function mergeMeasures(runs: readonly (readonly MeasureResult[])[]): MeasureResult[] {
  const all = runs.flat();
  return MEASURES.flatMap((name) => {
    const results = all.filter((result) => result.measure === name);
    if (results.length === 0) return [];
    const samples = results.flatMap((result) => result.samples);
    return [resultOf(name, samples, results[0]!.bound ?? undefined)];
  });
}
