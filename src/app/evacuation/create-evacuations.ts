/**
 * Evacuations on this node: it does its own part of each, says so in its heartbeat, and leads those that were begun here.
 *
 * Owns:    which record of a region counts, when the next step is written, and the commands of operators.
 * Never:   decides when a step is over or what it asks of a node: `health/evacuation/` and `state/evacuation.ts` do.
 *
 * Of two records the one with more orders counts, then the newer one: a leader that was cut off and goes on by what it knew
 * does not undo what an operator has said elsewhere since. Who has heard the order publishes it again.
 * @module
 */
import { collectFacts, type FactSources, measureRegion } from "#app/evacuation/facts.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Health } from "#health/engine.ts";
import { whyNotCarried } from "#health/evacuation/capacity.ts";
import {
  beginEvacuation,
  leaveAgain,
  type Order,
  resumeEvacuation,
  returnRegion,
  stopEvacuation,
} from "#health/evacuation/commands.ts";
import { stepEvacuation } from "#health/evacuation/machine.ts";
import { type EvacuationWish, faultOfWeights, termsOf } from "#health/evacuation/terms.ts";
import type { LoadControl } from "#health/load-control.ts";
import { dutyOf, type Evacuation, type EvacuationView, isEvacuation } from "#state/evacuation.ts";
import type { Emit } from "#state/events.ts";
import type { EvacuationAck, Shared, SharedRecord } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";
import type { SpreadView } from "#steer/spread/planner.ts";

const LOOK_MS = 500;
const TOMBSTONE_TTL_MS = 86_400_000;

type Held = SharedRecord<"evacuation">;

export type EvacuationRequest = {
  readonly region: string;
  readonly reason: string;
  readonly wish: EvacuationWish;
  /** Another evacuation runs, or the others cannot carry it: all the same. */
  readonly isForced: boolean;
};

export type Evacuations = {
  /** The configuration that serves from now on. */
  apply(snapshot: Snapshot): void;
  /** All that this node knows of, those that are over for a day. */
  view(): readonly EvacuationView[];
  /** @throws RhumbError RHUMB_EVACUATION_… and RHUMB_HEALTH_REGION_UNKNOWN, as of all commands */
  evacuate(request: EvacuationRequest, owner: string): EvacuationView;
  bringBack(region: string, owner: string): EvacuationView;
  stop(region: string, owner: string): EvacuationView;
  resume(region: string, isForced: boolean, owner: string): EvacuationView;
  /** For the heartbeat. */
  acks(): readonly EvacuationAck[];
  /** This node's own region is being left, and its clients are to go elsewhere. */
  isDraining(): boolean;
  close(): void;
};

export function createEvacuations(options: {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly emit: Emit;
  readonly shared: Pick<Shared, "publish" | "records" | "onRecord" | "peers">;
  readonly health: Health;
  readonly load: Pick<LoadControl, "view">;
  readonly spread: () => SpreadView;
  /** Tells the balancer's clients to go elsewhere, or not; resolves when all of it does. */
  readonly setLeaving: (isLeaving: boolean) => Promise<void>;
}): Evacuations {
  const { node, clock, log, emit, shared, health, load } = options;
  const held = new Map<string, Held>();
  const done = new Map<string, Held["version"]>();
  let timer: Timer | undefined;
  /** Serves; before that this node takes records over, and neither says that it does its part nor leads. */
  let served: Snapshot | undefined;

  const ownRegion = (): string | undefined => served?.balancer?.region;
  const acks = (): EvacuationAck[] => [...done].map(([region, version]) => ({ region, version }));
  const sources: FactSources = { node, shared, health, snapshot: () => served, acks };

  // ── taking ─────────────────────────────────────────────────────────────────────────────────────────────────────

  function take(region: string, record: Held | undefined): void {
    const before = held.get(region);
    if (record === undefined) {
      held.delete(region);
      done.delete(region);
    } else {
      const { body } = record;
      if (!isEvacuation(body) || body.region !== region) return;
      if (before && body.orders < before.body.orders) {
        publish(before.body);
        return;
      }
      held.set(region, record);
      tell(before?.body, body);
    }
    doDuties();
  }

  function tell(
    before: Evacuation | undefined,
    { region, step, weight, direction, isStopped, ...now }: Evacuation,
  ): void {
    const isSame =
      before?.step === step &&
      before.weight === weight &&
      before.direction === direction &&
      before.isStopped === isStopped;
    if (isSame || (before === undefined && step === "serving")) return;
    const severity = step === "serving" ? "resolved" : now.leader === node ? "warning" : "info";
    const subject = `region/${region}`;
    const says = `${now.history.at(-1)?.says ?? ""} (${direction} ${region}: ${step})`;
    const data = { step, weight, direction, isStopped, owner: now.owner, leader: now.leader };
    emit({ kind: "region.evacuation", atMs: clock.nowMs(), severity, subject, says, data });
  }

  /** DNS takes a new weight over at once; a balancer has done its part when all of its workers do theirs. */
  function doDuties(): void {
    const all = [...held.values()];
    health.setEvacuations(
      all
        .filter(({ body }) => body.step !== "serving")
        .map(({ body }) => ({
          region: body.region,
          weightPercent: dutyOf(body).weightPercent,
          reason: body.reason,
          sinceMs: body.stepAtMs,
          nextMs: nextWeightMs(body),
        })),
    );
    if (served === undefined) return;
    for (const record of all) {
      if (record.key === ownRegion()) void leave(record);
      else done.set(record.key, record.version);
    }
  }
  async function leave(record: Held): Promise<void> {
    try {
      await options.setLeaving(dutyOf(record.body).isDraining);
      if (held.get(record.key) === record) done.set(record.key, record.version);
    } catch (error) {
      log.error({ error: String(error) }, "The balancer cannot tell its clients to go elsewhere");
    }
  }

  // ── leading ────────────────────────────────────────────────────────────────────────────────────────────────────

  function publish(body: Evacuation): void {
    shared.publish(
      "evacuation",
      body.region,
      body,
      body.step === "serving" ? TOMBSTONE_TTL_MS : Number.MAX_SAFE_INTEGER,
    );
  }
  function look(): void {
    for (const record of served ? [...held.values()] : []) {
      const { body } = record;
      if (body.step === "serving") continue;
      approveFailback(body);
      if (body.leader !== node) continue;
      const { next } = stepEvacuation(body, collectFacts(sources, record), clock.nowMs());
      if (next !== body) publish(next);
    }
    timer = clock.after(LOOK_MS, look);
  }
  /** A planned return does not wait for the hold after an outage; its ramp, and that of the return, remain (D13). */
  function approveFailback({ region, direction, step, isStopped }: Evacuation): void {
    if (direction !== "return" || isStopped || (step !== "balancer" && step !== "weight")) return;
    const row = health.view().find(({ target }) => target === `region/${region}`);
    if (row?.state === "hold" || row?.state === "approval") health.approveFailback(region);
  }

  // ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────

  const orderOf = (owner: string): Order => ({ owner, leader: node, nowMs: clock.nowMs() });
  function viewOf(record: Held): EvacuationView {
    const facts = collectFacts(sources, record);
    const { says } = stepEvacuation(record.body, facts, clock.nowMs());
    return { ...record.body, says, nowRps: facts.nowRps, inFlight: facts.inFlight };
  }
  function say(body: Evacuation): EvacuationView {
    publish(body);
    return viewOf(held.get(body.region)!);
  }
  /** Who leads must know how the region fares: a DNS node. @returns its number */
  function mustKnow(region: string): number {
    const number = served?.regions.findIndex(({ id }) => id === region) ?? -1;
    if (number < 0) throw new RhumbError("RHUMB_HEALTH_REGION_UNKNOWN", region);
    return number;
  }
  /** @throws RHUMB_EVACUATION_NONE */
  function running(region: string): Evacuation {
    mustKnow(region);
    const body = held.get(region)?.body;
    if (body === undefined || body.step === "serving") throw new RhumbError("RHUMB_EVACUATION_NONE", region);
    return body;
  }

  /** @returns what an operator accepts by force. @throws what nobody may, or accepts */
  function checkMayLeave(region: string, isForced: boolean): string[] {
    const emptied = health.wouldEmptyWithout(region);
    if (emptied !== undefined) throw new RhumbError("RHUMB_EVACUATION_LAST", emptied);
    const rule = health.ruleAgainstLeaving(region);
    const other = [...held.values()].find(({ key, body }) => key !== region && body.step !== "serving");
    const otherSays = other && `${other.key} is at ${other.body.step} (${other.body.direction})`;
    const rows = new Map(health.view().map((row) => [row.target, row]));
    const carriers = load.view().regions.map(({ region: id, capacityRps, measuredRps }) => ({
      region: id,
      isUp: rows.get(`region/${id}`)?.serving === "up",
      capacityRps,
      offeredRps: measuredRps,
    }));
    const level = options.spread().regions.find((one) => one.region === region)?.levelWithout ?? null;
    const overload = whyNotCarried(region, carriers, level);
    if (isForced)
      return [rule, otherSays, overload].flatMap((says) => (says === undefined ? [] : [`By force: ${says}`]));
    if (rule !== undefined) throw new RhumbError("RHUMB_HEALTH_SAFETY", rule);
    if (otherSays !== undefined) throw new RhumbError("RHUMB_EVACUATION_OTHER", otherSays);
    if (overload !== undefined) throw new RhumbError("RHUMB_EVACUATION_CAPACITY", overload);
    return [];
  }

  shared.onRecord("evacuation", take);
  for (const record of shared.records("evacuation")) take(record.key, record);
  look();

  return {
    apply(snapshot) {
      served = snapshot;
      doDuties();
    },
    view: () => [...held.values()].map(viewOf),
    evacuate({ region, reason, wish, isForced }, owner) {
      const number = mustKnow(region);
      const fault = wish.weights && faultOfWeights(wish.weights);
      if (fault !== undefined) throw new RhumbError("RHUMB_EVACUATION_TERMS", fault);
      const before = held.get(region)?.body;
      const isRunning = before !== undefined && before.step !== "serving";
      if (isRunning && before.direction === "leave") throw new RhumbError("RHUMB_EVACUATION_RUNNING", region);
      const notes = checkMayLeave(region, isForced);
      if (isRunning) return say(leaveAgain(before, reason, orderOf(owner)));
      const services = served!.services.filter(({ regions }) => regions.some((entry) => entry.region === number));
      const ttlMaxSeconds = services.reduce((most, service) => Math.max(most, service.ttlMaxSeconds), 0);
      const hasPrefixes = shared
        .records("anycast")
        .some(({ body }) => body.region === region && body.prefixes.length > 0);
      const terms = termsOf(wish, ttlMaxSeconds, hasPrefixes);
      const startRps = measureRegion(sources, region).nowRps;
      return say(beginEvacuation({ region, reason, terms, startRps, notes }, orderOf(owner), before?.orders ?? 0));
    },
    bringBack: (region, owner) => say(returnRegion(running(region), orderOf(owner))),
    stop: (region, owner) => say(stopEvacuation(running(region), orderOf(owner))),
    resume: (region, isForced, owner) => say(resumeEvacuation(running(region), orderOf(owner), isForced)),
    acks,
    isDraining() {
      const record = held.get(ownRegion() ?? "");
      return record !== undefined && dutyOf(record.body).isDraining;
    },
    close: () => timer?.cancel(),
  };
}

/** When the weight is to change next; undefined: that depends on more than time. */
function nextWeightMs({ step, weight, isStopped, stepAtMs, terms }: Evacuation): number | undefined {
  return step === "weight" && weight > 0 && !isStopped ? stepAtMs + terms.weightWaitMs : undefined;
}
