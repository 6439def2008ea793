/**
 * What came of a drill, in one sentence for somebody who was not there. Pure.
 * @module
 */
import { movedRegion, withdrawnRegion } from "#drill/actions.ts";
import { type Collected, faultsOf, isSeen } from "#drill/collected.ts";
import type { MeasureResult } from "#drill/measures.ts";
import type { DrillReport, Outcome } from "#drill/report/shape.ts";
import {
  boundText,
  countOf,
  durationText,
  leadingValue,
  MEASURE_WORDS,
  shareText,
  valueText,
} from "#drill/report/words.ts";
import { stepSays } from "#drill/step-words.ts";

/** How the run itself ended; what was measured is judged besides. */
export type Ending = { readonly kind: "over" } | { readonly kind: "aborted" | "broken"; readonly why: string };

export type Judged = {
  readonly collected: Collected;
  readonly measures: readonly MeasureResult[];
  readonly slo: DrillReport["slo"];
  readonly ending: Ending;
  readonly leftOver: readonly string[];
};

export function outcomeOf({ ending, measures, leftOver }: Pick<Judged, "ending" | "measures" | "leftOver">): Outcome {
  if (ending.kind !== "over") return ending.kind;
  if (leftOver.length > 0) return "broken";
  return measures.some(({ isMet }) => isMet === false) ? "failed" : "passed";
}

/** Names such as eu-west stay as they are written. */
const upper = (text: string): string => (/^[a-z]+-/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1));
/** `DNS drain` stays, `Changed answer` becomes `changed answer`. */
const lower = (text: string): string => (/^[A-Z]{2}/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1));

/** Samples of things that did happen: those that did not carry the length of the fault. */
const seenOf = (measures: readonly MeasureResult[], measure: MeasureResult["measure"]): number[] =>
  measures
    .filter((result) => result.measure === measure)
    .flatMap(({ samples }) => samples)
    .filter(isSeen)
    .map(({ value }) => value);

/** What became of the clients. */
function consequences({ collected, measures }: Judged): string[] {
  const faults = faultsOf(collected);
  const says: string[] = [];
  const changed = seenOf(measures, "changedAnswer");
  const isAnybodyMoved = faults.some(({ step }) => movedRegion(step) !== undefined);
  if (changed.length > 0) says.push(`DNS led clients elsewhere within ${durationText(Math.max(...changed))}`);
  else if (isAnybodyMoved) says.push("DNS led nobody elsewhere");
  const anycast = seenOf(measures, "anycastFailover");
  if (anycast.length > 0)
    says.push(`anycast clients were served elsewhere within ${durationText(Math.max(...anycast))}`);
  else if (faults.some(({ step }) => withdrawnRegion(step) !== undefined) && collected.routes.length > 0)
    says.push("no anycast client was served elsewhere");
  const returned = seenOf(measures, "returnedAnswer");
  if (returned.length > 0) says.push(`they came back ${durationText(Math.max(...returned))} after it was healed`);
  return says;
}

function losses({ slo, collected }: Judged): string {
  if (slo.requests === 0) return "no request was made";
  const queries = collected.seconds.reduce((sum, { dns }) => sum + dns.queries, 0);
  const lost = slo.lost === 0 ? "none" : `${countOf(slo.lost)} (${shareText(slo.lost / slo.requests)})`;
  const lostQueries = slo.lostQueries === 0 ? "none" : countOf(slo.lostQueries);
  return slo.lost === 0 && slo.lostQueries === 0
    ? `none of ${countOf(slo.requests)} requests and ${countOf(queries)} queries was lost`
    : `of ${countOf(slo.requests)} requests ${lost} were lost, of ${countOf(queries)} queries ${lostQueries}`;
}

function misses(measures: readonly MeasureResult[]): string[] {
  return measures
    .filter(({ isMet }) => isMet === false)
    .map((result) => {
      const { name } = MEASURE_WORDS[result.measure];
      const leading = leadingValue(result);
      const bound = boundText(result.bound!, result.unit);
      if (!leading) return `${lower(name)} could not be measured, and ${bound} was expected`;
      return `${lower(name)} was ${valueText(leading.value, result.unit)} where ${bound} was expected`;
    });
}

/** Beyond this share of starts that came late, the load itself is in doubt. */
const LATE_SHARE = 0.02;
function doubt({ seconds }: Collected, requests: number): string[] {
  const late = seconds.reduce((sum, second) => sum + second.late, 0);
  return late > requests * LATE_SHARE
    ? [`The machine was too busy for the load: ${countOf(late)} of its starts came late, so the numbers are in doubt.`]
    : [];
}

export function verdict(judged: Judged): string {
  const { collected, ending, measures, slo, leftOver } = judged;
  if (ending.kind === "broken") return `The drill could not be run to its end: ${ending.why}`;
  const faults = faultsOf(collected);
  const what = faults.map(({ step }) => stepSays(step)).join(", then ");
  const happened = upper([what, ...consequences(judged), losses(judged)].filter((text) => text !== "").join("; "));
  const left = leftOver.length > 0 ? [`Not as it was before: ${leftOver.join(", ")}.`] : [];
  if (ending.kind === "aborted")
    return [`The drill was aborted and everything healed, because ${ending.why}.`, `${happened}.`, ...left].join(" ");
  const missed = misses(measures);
  const expected = measures.filter(({ isMet }) => isMet !== null).length;
  const judgement =
    expected === 0
      ? []
      : missed.length === 0
        ? [`All ${expected} expectations were met.`]
        : [`Not as expected: ${missed.join("; ")}.`];
  return [`${happened}.`, ...judgement, ...left, ...doubt(collected, slo.requests)].join(" ");
}
