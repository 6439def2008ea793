/**
 * What operators say to an evacuation: each command is a pure step from the record that stands to the one that follows.
 *
 * Owns:    where a command enters the order of steps. Who leaves turns back where it is; who returns can leave again: what a
 *          step had done is undone by the very steps that lie behind it, never jumped over.
 * Never:   looks at the world: `machine.ts` waits for that.
 * @module
 */
import type { Evacuation, EvacuationStep } from "#state/evacuation.ts";

/** Kept in a record, newest last; a record must stay far below what a node takes. */
const MAX_HISTORY = 60;

/** Who gives a command, at which node, and when. */
export type Order = { readonly owner: string; readonly leader: string; readonly nowMs: number };

/** @param change goes on top; `says` into the history, under the step that is entered */
export function withNote(now: Evacuation, nowMs: number, says: string, change: Partial<Evacuation> = {}): Evacuation {
  const next = { ...now, ...change };
  return { ...next, history: [...now.history, { atMs: nowMs, step: next.step, says }].slice(-MAX_HISTORY) };
}

export function beginEvacuation(
  start: Pick<Evacuation, "region" | "reason" | "terms" | "startRps"> & { readonly notes: readonly string[] },
  { owner, leader, nowMs }: Order,
  ordersBefore: number,
): Evacuation {
  const { notes, ...rest } = start;
  const weight = start.terms.weights[0]!;
  const says = [`${owner} evacuates ${start.region}: ${start.reason}`, ...notes, `Weight ${weight} %`];
  return {
    ...rest,
    direction: "leave",
    step: "weight",
    weight,
    isStopped: false,
    owner,
    leader,
    startedAtMs: nowMs,
    stepAtMs: nowMs,
    orders: ordersBefore + 1,
    zeroAtMs: weight === 0 ? nowMs : null,
    curve: [],
    history: says.map((text) => ({ atMs: nowMs, step: "weight", says: text })),
  };
}

const lead = (now: Evacuation, { leader, nowMs }: Order, change: Partial<Evacuation>, says: string): Evacuation =>
  withNote(now, nowMs, says, { isStopped: false, stepAtMs: nowMs, ...change, leader, orders: now.orders + 1 });

const RETURN_AT: Readonly<Record<EvacuationStep, EvacuationStep>> = {
  serving: "serving",
  weight: "weight",
  tail: "weight",
  balancer: "balancer",
  withdraw: "withdraw",
  evacuated: "withdraw",
};

/** Back into service, from wherever it stands; of one that returns already: go on. */
export function returnRegion(now: Evacuation, order: Order): Evacuation {
  const says = `${order.owner} brings ${now.region} back`;
  if (now.direction === "return") return lead(now, order, {}, says);
  const at = RETURN_AT[now.step];
  const step = at === "withdraw" && !now.terms.withdraws ? "balancer" : at;
  return lead(now, order, { direction: "return", step, weight: now.step === "weight" ? now.weight : 0 }, says);
}

/** Of one that returns: leave again. */
export function leaveAgain(now: Evacuation, reason: string, order: Order): Evacuation {
  const { nowMs, owner } = order;
  const says = `${owner} evacuates ${now.region} again: ${reason}`;
  const weight = now.step === "weight" ? (now.terms.weights.find((one) => one < now.weight) ?? 0) : 0;
  const zeroAtMs = weight === 0 ? nowMs : null;
  return lead(now, order, { direction: "leave", weight, zeroAtMs, curve: [], reason, owner }, says);
}

/** It stands where it is, and does what its step says, until `resume` or `return`. */
export const stopEvacuation = (now: Evacuation, order: Order): Evacuation =>
  lead(now, order, { isStopped: true, stepAtMs: now.stepAtMs }, `${order.owner} stops it here`);

/** @param isForced nodes that say nothing are not waited for any more, and prefixes whose withdrawal is refused stay */
export function resumeEvacuation(now: Evacuation, order: Order, isForced: boolean): Evacuation {
  const terms = isForced ? { ...now.terms, isForced } : now.terms;
  return lead(now, order, { terms }, `${order.owner} has it go on${isForced ? ", whoever says nothing" : ""}`);
}
