/**
 * Keeps the spread plan of this node: what workers answered, what balancers report and what health says go to the planner,
 * and its plans to the door that workers and explain read.
 *
 * Owns:    when it plans: each few seconds, and at once when a region comes or goes.
 * Never:   decides anything: that is `steer/spread/`.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Health } from "#health/engine.ts";
import type { LoadControl } from "#health/load-control.ts";
import type { ClientMap } from "#state/client-map.ts";
import type { Emit } from "#state/events.ts";
import type { Observations } from "#state/observations.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { publishSpread } from "#state/spread.ts";
import { type HitNumbering, numberingOf, readClasses } from "#state/steering-hits.ts";
import type { ClassAnswers } from "#steer/spread/demand.ts";
import { createSpreadPlanner, type SpreadView } from "#steer/spread/planner.ts";

const PLAN_MS = 5_000;

export type Spreading = {
  /** For the workers and explain. */
  readonly door: Int32Array;
  view(): SpreadView;
  close(): void;
};

export function createSpreading(options: {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly health: Pick<Health, "onChange">;
  readonly healthTable: Uint32Array;
  readonly door: Int32Array;
  readonly load: Pick<LoadControl, "view">;
  snapshot(): Snapshot | undefined;
  maps(): readonly ClientMap[];
  workers(): readonly Observations[];
}): Spreading {
  const { clock, emit, healthTable, door, load } = options;
  const planner = createSpreadPlanner();
  /** Totals of each worker at the last look; numbers that mean something else since begin anew. */
  let counted = new WeakMap<SharedArrayBuffer, Map<string, number>>();
  let numbering = 0;
  let plannedAtMs = clock.monotonicMs();
  let isOver = false;
  let timer: Timer = clock.after(PLAN_MS, beat);

  function newAnswers(world: HitNumbering): ClassAnswers[] {
    const number = numberingOf(world);
    if (number !== numbering) counted = new WeakMap();
    numbering = number;
    const answers: ClassAnswers[] = [];
    for (const { hits } of options.workers()) {
      const before = counted.get(hits);
      const now = new Map<string, number>();
      readClasses(hits, number, (service, classNumber, region, total) => {
        const key = `${service} ${classNumber} ${region}`;
        now.set(key, total);
        const given = total - (before?.get(key) ?? 0);
        // A worker that is seen for the first time has counted since it began.
        if (region >= 0 && given > 0 && before !== undefined)
          answers.push({ service, class: classNumber, region, answers: given });
      });
      counted.set(hits, now);
    }
    return answers;
  }

  function plan(isTick: boolean): void {
    const snapshot = options.snapshot();
    if (snapshot?.dns === undefined) return;
    const { services, regions } = snapshot;
    const world = { services, regions, maps: options.maps() };
    const { regions: loads, drain } = load.view();
    const nowMs = clock.monotonicMs();
    const input = {
      world,
      healthTable,
      answers: isTick ? newAnswers(world) : [],
      loads: regions.map(({ id }) => {
        const found = loads.find(({ region }) => region === id);
        return { offeredRps: found?.measuredRps ?? undefined, capacityRps: found?.capacityRps ?? undefined };
      }),
      seconds: isTick ? (nowMs - plannedAtMs) / 1_000 : 0,
      ttlSeconds: drain.ttlSeconds,
      stretching: drain.stretching,
    };
    if (isTick) plannedAtMs = nowMs;
    publishSpread(door, planner.step(input));
    tellFeasible();
  }

  function tellFeasible(): void {
    const { isFeasible, demandRps, regions, says } = planner.view();
    if (says !== "" || isFeasible !== isOver) return;
    isOver = !isFeasible;
    const capacity = regions.reduce((sum, { capacityRps }) => sum + (capacityRps ?? 0), 0);
    emit({
      kind: "region.load",
      atMs: clock.nowMs(),
      severity: isOver ? "alarm" : "resolved",
      subject: "spread",
      says: isOver
        ? `Clients want more than the regions that are up can carry (${Math.round(demandRps)} of ${Math.round(capacity)} requests per second that may be spread): what is over is spread by capacity`
        : "All that clients want fits into the regions again",
    });
  }

  function beat(): void {
    plan(true);
    timer = clock.after(PLAN_MS, beat);
  }

  const stopListening = options.health.onChange((rows) => {
    if (planner.view().says !== "") return;
    const regions = options.snapshot()?.regions ?? [];
    if (regions.some(({ target }) => rows.includes(target))) plan(false);
  });

  return {
    door,
    view: () => planner.view(),
    close() {
      stopListening();
      timer.cancel();
    },
  };
}
