/**
 * The health engine: rows of the health table and what stands behind each.
 *
 * Owns:    rows (addresses and regions), failback phases, overrides, events, the persisted state; it composes the pure parts.
 * Writer:  it is the only one that stages words for `publish.ts`, the table's single writer.
 * Never:   knows steering or who reads. Whether an override would empty a service is asked through `wouldEmpty`.
 *
 * Flow: results, votes of other vantages (`voting.ts`) → `watch.ts` (verdict of the address) → row of the address → region
 * (aggregate, failback) → publisher. What changes within 10 ms is published, and told to listeners, at once. Planned changes
 * (end of a hold, a ramp's step) have their own timers; staleness, quarantine, thaw and the end of overrides are looked at
 * each second.
 *
 * Units:   steady ms inside, Unix ms and seconds at the edges; an override's end is Unix time.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { createElectorate } from "#health/electorate.ts";
import { annul, approve } from "#health/failback.ts";
import { fullTarget } from "#health/glob.ts";
import { identityOf } from "#health/identity.ts";
import { createMemory } from "#health/memory.ts";
import {
  createOverrides,
  type EvacuationDrain,
  type OverrideInput,
  type OverrideStore,
  type SharedOverride,
  shownEnd,
} from "#health/overrides.ts";
import type { StartProbe } from "#health/probes/probe.ts";
import { createProbes } from "#health/probes/table.ts";
import { createPublisher } from "#health/publish.ts";
import { createRows } from "#health/rows.ts";
import { brokenRule, isSwitch } from "#health/safety.ts";
import type { SchedulerStats } from "#health/scheduler.ts";
import { viewRow } from "#health/target-view.ts";
import type { HeapItem } from "#health/timer-heap.ts";
import { createTransitionCounters, type Transition } from "#health/transitions.ts";
import type { OverrideView, TargetView, VantageView } from "#health/view.ts";
import { createVoting, type VotingStats } from "#health/voting.ts";
import { createWatch, type Wanted, type Watched } from "#health/watch.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";
import type { RegionReport } from "#state/reports.ts";
import type { CheckSpec, HealthSnapshot, OverrideSpec, SafetyChange, SafetyRules } from "#state/snapshot.ts";
import type { VantageVotes } from "#state/votes.ts";

const COALESCE_MS = 10;
const TICK_MS = 1_000;

/**
 * Names a service that would have no region left that is up, or returns undefined.
 * @param isOut whether the region with this row of the table would be out of service: by an operator, or down as it is
 * @param isOutNow whether it is so already
 */
export type WouldEmpty = (
  isOut: (target: number) => boolean,
  isOutNow: (target: number) => boolean,
) => string | undefined;

export type HealthOptions = {
  readonly table: Uint32Array;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly emit: Emit;
  /** Probes of every kind; the real ones by default. */
  readonly probes?: StartProbe;
  readonly store: OverrideStore;
  /** Where verdicts survive a restart; undefined: nowhere. */
  readonly stateFile: string | undefined;
  readonly wouldEmpty?: WouldEmpty;
  /** Probes at a time; `SCHEDULER_SETTINGS`. */
  readonly maxRunning?: number;
};

export type HealthStats = {
  readonly scheduler: SchedulerStats;
  readonly results: readonly { readonly kind: string; readonly errorClass: string; readonly count: number }[];
  readonly transitions: readonly Transition[];
  readonly targets: { readonly up: number; readonly down: number; readonly unknown: number };
  readonly frozen: number;
  readonly overrides: number;
  readonly voting: VotingStats;
};

export type Health = {
  /** Takes a new configuration; what is unchanged keeps its state. @throws RHUMB_HEALTH_TABLE_FULL, and changes nothing */
  apply(snapshot: HealthSnapshot): void;
  stats(): HealthStats;
  view(): readonly TargetView[];
  /** What the verdict of an address rests on; undefined where it is not probed. */
  cause(target: number): string | undefined;
  listOverrides(): readonly OverrideView[];
  /** @throws RhumbError RHUMB_HEALTH_OVERRIDE_… as their sentences say; `force` allows no match, an empty service, and what a safety rule forbids */
  setOverride(input: OverrideInput, options?: { readonly force?: boolean }): OverrideView;
  /** @param text id or target. @returns what was cleared. @throws RHUMB_HEALTH_OVERRIDE_FROM_FILE */
  clearOverride(text: string): readonly OverrideSpec[];
  /** What all nodes have said of targets through their APIs: the newest of each. */
  setSharedOverrides(shared: readonly SharedOverride[]): void;
  /** Regions that are being evacuated or come back: each is drained, for readers from when this returns. */
  setEvacuations(drains: readonly EvacuationDrain[]): void;
  /** @returns a service that would have no region left that is up without this one; undefined: none */
  wouldEmptyWithout(region: string): string | undefined;
  /** @returns the safety rule against evacuating this region, in words; undefined: there is none */
  ruleAgainstLeaving(region: string): string | undefined;
  /** Calls `listener` when this node's API set an override, or cleared it (`null`). @returns how to end it */
  onOverride(listener: (target: string, spec: OverrideSpec | null) => void): () => void;
  /** @param region bare name or id. @returns its new state. @throws RHUMB_HEALTH_REGION_UNKNOWN, RHUMB_HEALTH_NOT_HELD */
  approveFailback(region: string): TargetView;
  /** A region's load in permille of its capacity. */
  setLoad(target: number, loadPermille: number): void;
  /** All votes of this vantage, for those who keep them. */
  votes(): VantageVotes;
  /** Calls `listener` with votes that have just changed, a first failure among them. @returns how to end it */
  onVotes(listener: (votes: VantageVotes) => void): () => void;
  /**
   * Votes of another vantage, whole or in part, in whatever order they come.
   * @param delayMs how long they have been on their way, where that is known
   */
  takeVotes(votes: VantageVotes, delayMs?: number): void;
  /** A vantage has gone, and its votes with it. */
  dropVantage(vantage: string): void;
  /** What a region says of itself. @param isFresh false: the report has ended, and no other has come */
  takeReport(report: RegionReport, isFresh: boolean): void;
  vantages(): readonly VantageView[];
  /** Calls `listener` with the rows that changed, once per published change. @returns how to end it */
  onChange(listener: (changed: readonly number[]) => void): () => void;
  /** Stops all probes, publishes and saves at once; resolves when nothing is being written any more. */
  close(): Promise<void>;
};

export function createHealth(options: HealthOptions): Health {
  const { table, clock, rng, log, emit } = options;
  const publisher = createPublisher(table);
  const transitions = createTransitionCounters();
  const listeners = new Set<(changed: readonly number[]) => void>();
  const overrideListeners = new Set<(target: string, spec: OverrideSpec | null) => void>();
  const overrides = createOverrides({ clock, rng, emit: (event) => announce(event), store: options.store });
  let isClosed = false;
  let closing: Promise<void> = Promise.resolve();
  let isFlushPlanned = false;

  const announce = (event: RhumbEvent): void => {
    emit(event);
    const level = event.severity === "alarm" || event.severity === "warning" ? "warn" : "info";
    log[level]({ event: event.kind, subject: event.subject, ...event.data }, event.says);
    if (event.kind.startsWith("health.")) memory.note();
  };
  const tell = (event: Omit<RhumbEvent, "atMs">): void => announce({ ...event, atMs: clock.nowMs() });

  const flush = (): void => {
    isFlushPlanned = false;
    if (isClosed) return;
    rows.settleRegions();
    const changed = publisher.flush(clock.nowMs());
    if (changed.length > 0) for (const listener of listeners) listener(changed);
  };
  const planFlush = (): void => {
    if (isFlushPlanned || isClosed) return;
    isFlushPlanned = true;
    clock.after(COALESCE_MS, flush);
  };

  const electorate = createElectorate();
  const watch = createWatch({
    clock,
    rng,
    electorate,
    start: options.probes ?? createProbes(clock),
    maxRunning: options.maxRunning,
    onChange: (watched) => {
      voting.note(watched);
      if (rows.stageWatched(watched)) planFlush();
    },
    onVerdict: (watched, from, cause) => {
      const to = watched.isUp ? "up" : "down";
      transitions.count("address", from, to, cause);
      for (const row of rows.of(watched)) {
        tell({
          kind: "health.transition",
          // Whether a backend that fails is a reason to worry depends on what else there is: its balancer says so.
          severity: watched.kind === "backend" ? "info" : watched.isUp ? "resolved" : "warning",
          subject: row.spec.id,
          says: `${row.spec.id} is ${to}: ${watched.cause}`,
          data: { from, to, cause },
        });
      }
    },
    onFreeze: (watched, frozen) => sayFreeze(watched, frozen),
    onStale: (watched, stale) => sayStale(watched, stale),
  });

  /** Checks whose silence was told. One event per check: a check that cannot run is silent about all of its targets. */
  const silentChecks = new Set<string>();
  const sayStale = ({ check, address, lastResult }: Watched, stale: number): void => {
    if (stale > 0 === silentChecks.has(check.name)) return;
    if (stale > 0) silentChecks.add(check.name);
    else silentChecks.delete(check.name);
    tell({
      kind: "health.stale",
      severity: stale > 0 ? "warning" : "resolved",
      subject: `check/${check.name}`,
      says:
        stale > 0
          ? `The check ${check.name} has found out nothing about ${address} for some time: ${lastResult?.says ?? "no probe has ended"}. Its last verdict stays`
          : `The check ${check.name} has fresh evidence again`,
      data: { check: check.name, address },
    });
  };

  let isBudgetAlarmed = false;
  const sayFreeze = (watched: Watched, frozen: number): void => {
    if (frozen > 0 === isBudgetAlarmed) return;
    isBudgetAlarmed = frozen > 0;
    tell({
      kind: "health.blast-budget",
      severity: isBudgetAlarmed ? "alarm" : "resolved",
      subject: "health",
      says: isBudgetAlarmed
        ? `More targets fail than automation may turn down within 60 s (next: ${watched.address}); the rest is frozen at its last verdict. Is this node's own network sound?`
        : "No target is frozen by the blast budget any more",
      data: { frozen },
    });
  };

  const rows = createRows({ clock, publisher, watch, electorate, overrides, transitions, tell, plan: planFlush });
  let regionNames: readonly string[] = [];
  const voting = createVoting({
    clock,
    electorate,
    watch,
    tell,
    regions: () => regionNames,
    isUpByProbes(region) {
      const row = rows.region(fullTarget(region));
      return row !== undefined && rows.isUpByProbes(row);
    },
    onWord(region) {
      const row = rows.region(fullTarget(region));
      if (row !== undefined) rows.stageUnwatched(row);
      planFlush();
    },
    annul(region) {
      const row = rows.region(fullTarget(region));
      if (row !== undefined) rows.setFailback(row, annul(row.failback, clock.monotonicMs()), "reports-ignored");
      planFlush();
    },
  });
  const memory = createMemory({ clock, file: options.stateFile, watch, rows, tell });

  const housekeeping: HeapItem = {
    dueMs: 0,
    heapIndex: -1,
    fire(nowMs) {
      watch.scheduler.heap.set(housekeeping, nowMs + TICK_MS);
      watch.tick();
      voting.tick();
      if (overrides.tick(watch.frozen > 0).length > 0) restageAll();
      memory.tick();
      publisher.beat(clock.nowMs());
    },
  };

  const restageAll = (): void => {
    rows.stageAll();
    flush();
  };

  /** What the probes of a changed check knew of the address still counts, until the first result of the new ones. */
  const seedsOf = (checks: ReadonlyMap<string, CheckSpec>, snapshot: HealthSnapshot): Map<string, Watched> => {
    const seeds = new Map<string, Watched>();
    for (const spec of snapshot.targets) {
      if (spec.kind !== "address" || spec.check === undefined) continue;
      const before = rows.address(spec.index)?.watched;
      const check = checks.get(spec.check);
      if (before?.isKnown && before.address === spec.address && check !== undefined) {
        seeds.set(identityOf(check, spec), before);
      }
    }
    return seeds;
  };

  const apply = (snapshot: HealthSnapshot): void => {
    publisher.resize(snapshot.targets.reduce((most, spec) => Math.max(most, spec.index + 1), 0));
    const checks = new Map(snapshot.checks.map((check) => [check.name, check]));
    const regionsOf = new Map<number, string[]>();
    for (const spec of snapshot.targets) {
      if (spec.kind !== "region") continue;
      for (const member of spec.members) regionsOf.set(member, [...(regionsOf.get(member) ?? []), spec.id]);
    }
    const wanted = new Map<string, Wanted & { regions: string[] }>();
    for (const spec of snapshot.targets) {
      const check = spec.kind === "address" && spec.check !== undefined ? checks.get(spec.check) : undefined;
      if (spec.kind !== "address" || check === undefined) continue;
      const key = identityOf(check, spec);
      const regions = regionsOf.get(spec.index) ?? [];
      const same = wanted.get(key);
      const kind = spec.isBackend ? "backend" : "address";
      if (same === undefined) wanted.set(key, { check, address: spec.address, kind, regions: [...regions] });
      else same.regions.push(...regions);
    }
    for (const { address, check: name } of snapshot.references) {
      const check = checks.get(name);
      if (check !== undefined)
        wanted.set(`reference/${identityOf(check, { address })}`, { check, address, kind: "reference", regions: [] });
    }
    const seeds = seedsOf(checks, snapshot);
    const seedOf = (key: string) => memory.seedOf(key) ?? seeds.get(key);
    electorate.apply(snapshot, (endpoint) => wanted.get(endpoint)?.kind === "address");
    watch.apply(wanted, seedOf);
    rows.apply(snapshot, checks);
    overrides.setFile(snapshot.fileOverrides);
    safety = snapshot.safety;
    memory.restoreRegions();
    regionNames = snapshot.targets.flatMap(({ kind, id }) => (kind === "region" ? [id.slice("region/".length)] : []));
    voting.reconsiderAll();
    restageAll();
    if (housekeeping.heapIndex < 0) watch.scheduler.heap.set(housekeeping, clock.monotonicMs() + TICK_MS);
    const shared = snapshot.targets.filter((spec) => spec.kind === "address" && spec.check !== undefined).length;
    log.info(
      { targets: snapshot.targets.length, monitors: wanted.size },
      `Watching ${wanted.size} endpoints for ${shared} addresses`,
    );
  };

  let safety: SafetyRules | undefined;
  /** Takes clients from a region. */
  const takesClients = ({ verb, weightPercent, target }: OverrideSpec): boolean =>
    (verb === "down" || (verb === "drain" && weightPercent < 100)) &&
    rows.matching(target).some((id) => rows.region(id) !== undefined);
  function ruleAgainst(change: SafetyChange, isOut: (target: number) => boolean): string | undefined {
    const ask = (region: string, isGone: (target: number) => boolean): boolean => {
      const row = rows.region(fullTarget(region));
      return row === undefined || isGone(row.spec.index);
    };
    return brokenRule(safety, change, {
      isOut: (region) => ask(region, isOut),
      isOutNow: (region) => ask(region, rows.isOut),
      isOn: (target) => overrides.find(target)?.verb === "up",
    });
  }
  const withMatches = (spec: OverrideSpec): OverrideView => ({
    ...spec,
    untilMs: shownEnd(spec),
    matches: rows.matching(spec.target),
  });

  return {
    apply,
    view: () => rows.all().map((row) => viewRow(row, clock, electorate, withMatches)),
    cause: (target) => rows.address(target)?.watched?.cause,
    listOverrides: () => overrides.list().map(withMatches),
    setOverride(input, { force = false } = {}) {
      const spec = overrides.prepare(input);
      if (!force) {
        if (rows.matching(spec.target).length === 0 && !isSwitch(safety, spec.target))
          throw new RhumbError("RHUMB_HEALTH_OVERRIDE_NO_MATCH", spec.target);
        const isTakingOut = spec.verb === "down" || (spec.verb === "drain" && spec.weightPercent === 0);
        const emptied = isTakingOut
          ? options.wouldEmpty?.((target) => rows.isOut(target, spec), rows.isOut)
          : undefined;
        if (emptied !== undefined) throw new RhumbError("RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE", emptied);
      }
      const rule = takesClients(spec) ? ruleAgainst("override", (target) => rows.isOut(target, spec)) : undefined;
      if (rule !== undefined && !force) throw new RhumbError("RHUMB_HEALTH_SAFETY", rule);
      overrides.add(spec);
      restageAll();
      for (const listener of overrideListeners) listener(spec.target, spec);
      if (rule !== undefined) {
        const { target: subject, owner, reason } = spec;
        const says = `${owner} went past a safety rule for ${subject} (${reason}): ${rule}`;
        tell({ kind: "health.safety", severity: "warning", subject, says, data: { owner, reason } });
      }
      return withMatches(spec);
    },
    clearOverride(text) {
      const cleared = overrides.clear(text);
      restageAll();
      for (const { target } of cleared) for (const listener of overrideListeners) listener(target, null);
      return cleared;
    },
    setSharedOverrides(shared) {
      if (overrides.setShared(shared)) restageAll();
    },
    setEvacuations(drains) {
      overrides.setEvacuations(drains);
      restageAll();
    },
    wouldEmptyWithout(region) {
      const gone = rows.region(fullTarget(region))?.spec.index;
      return options.wouldEmpty?.((target) => target === gone || rows.isOut(target), rows.isOut);
    },
    ruleAgainstLeaving(region) {
      const gone = rows.region(fullTarget(region))?.spec.index;
      return ruleAgainst("evacuate", (target) => target === gone || rows.isOut(target));
    },
    onOverride(listener) {
      overrideListeners.add(listener);
      return () => overrideListeners.delete(listener);
    },
    approveFailback(region) {
      const row = rows.region(fullTarget(region));
      if (row === undefined) throw new RhumbError("RHUMB_HEALTH_REGION_UNKNOWN", region);
      const approved = approve(row.failback, clock.monotonicMs(), row.spec.failback);
      if (approved === row.failback) throw new RhumbError("RHUMB_HEALTH_NOT_HELD", region);
      rows.setFailback(row, approved, "approved");
      flush();
      return viewRow(row, clock, electorate, withMatches);
    },
    setLoad(target, loadPermille) {
      if (rows.setLoad(target, loadPermille)) planFlush();
    },
    votes: voting.whole,
    onVotes: voting.onVotes,
    takeVotes: voting.takeVotes,
    dropVantage: voting.dropVantage,
    takeReport: voting.takeReport,
    vantages: voting.vantages,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stats() {
      const targets = { up: 0, down: 0, unknown: 0 };
      for (const one of watch.all())
        if (one.kind !== "reference") targets[one.isKnown ? (one.isUp ? "up" : "down") : "unknown"]++;
      return {
        scheduler: watch.scheduler.stats(),
        results: watch.results(),
        transitions: transitions.list(),
        targets,
        frozen: watch.frozen,
        overrides: overrides.list().length,
        voting: voting.stats(),
      };
    },
    close() {
      if (!isClosed) {
        flush();
        isClosed = true;
        closing = memory.close();
        watch.close();
        voting.close();
        listeners.clear();
      }
      return closing;
    },
  };
}
