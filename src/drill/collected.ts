/**
 * All that one run of a drill has seen, from outside: what the measures are computed from.
 *
 * Writer:  `collect.ts` and the runner. Readers: the measures, all pure.
 * Units:   Unix ms.
 * @module
 */
import { movedRegion, targetKind } from "#drill/actions.ts";
import type { LoadMark, LoadSecond } from "#drill/load/protocol.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import type { Step } from "#drill/scenario.ts";
import type { RouteNow, StageRegion } from "#drill/stage.ts";

/** A step as it was done: begun at `atMs`, and `doneAtMs` when the stage said that it is. */
export type DoneStep = { readonly step: Step; readonly atMs: number; readonly doneAtMs: number; readonly says: string };
export type RouteChange = RouteNow & { readonly atMs: number };
export type NodeEvent = DrillReport["events"][number];

export type Collected = {
  readonly regions: readonly StageRegion[];
  readonly startedAtMs: number;
  /** End of the load. */
  readonly endedAtMs: number;
  readonly steps: readonly DoneStep[];
  /** In order of time. */
  readonly seconds: readonly LoadSecond[];
  readonly marks: readonly LoadMark[];
  readonly routes: readonly RouteChange[];
  readonly events: readonly NodeEvent[];
};

/** A fault and how long it stood. */
export type Fault = {
  readonly step: Step;
  readonly atMs: number;
  readonly doneAtMs: number;
  /** When its heal began, or a later fault of the same target took its place; else the end of the load. */
  readonly untilMs: number;
  /** `kill region/eu-west`. */
  readonly says: string;
};

/** @returns the faults among the steps that were done, in order */
export function faultsOf({ steps, endedAtMs }: Collected): Fault[] {
  return steps.flatMap(({ step, atMs, doneAtMs }, index) => {
    if (step.action === "heal") return [];
    const next = steps.slice(index + 1).find((later) => later.step.target === step.target);
    return [{ step, atMs, doneAtMs, untilMs: next?.atMs ?? endedAtMs, says: `${step.action} ${step.target}` }];
  });
}

/** A fault that takes a region out of service, or its balancer. */
export type RegionFault = { readonly fault: Fault; readonly region: string };
export const regionFaults = (collected: Collected): RegionFault[] =>
  faultsOf(collected).flatMap((fault) => {
    const region = movedRegion(fault.step);
    return region === undefined ? [] : [{ fault, region }];
  });

export type Sample = { readonly of: string; readonly value: number };

/** Ends the name of a sample of what should have happened and did not. */
const NOT_SEEN = " (not in all that time)";
export const isSeen = ({ of }: Sample): boolean => !of.endsWith(NOT_SEEN);

/** Of faults that should send clients elsewhere. Where another balancer takes over they may stay: then there is no sample. */
export const samplesOf = (collected: Collected, measure: (one: RegionFault) => readonly Sample[]): Sample[] =>
  regionFaults(collected).flatMap((one) => {
    const hasStandBy = collected.regions.some(({ id, hasStandBy: has }) => id === one.region && has);
    const maySkip = hasStandBy && targetKind(one.fault.step.target) === "balancer";
    return measure(one).filter((sample) => !maySkip || isSeen(sample));
  });

/**
 * How long something took that should have happened while `fault` stood. What never happened took as long as the fault
 * stood: that is how long clients had to do without it.
 */
export function sampleOf(of: string, fault: Pick<Fault, "atMs" | "untilMs">, happenedAtMs: number | undefined): Sample {
  return happenedAtMs !== undefined && happenedAtMs < fault.untilMs
    ? { of, value: happenedAtMs - fault.atMs }
    : { of: `${of}${NOT_SEEN}`, value: fault.untilMs - fault.atMs };
}

/** The last of `list` (in order of time) at or before `atMs`. */
export const lastAt = <Timed extends { readonly atMs: number }>(
  list: readonly Timed[],
  atMs: number,
): Timed | undefined => list.findLast((entry) => entry.atMs <= atMs);
