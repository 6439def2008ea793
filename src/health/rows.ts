/**
 * Rows of the health table: what each target is made of, and the words that follow.
 *
 * Owns:    address rows (verdict of their endpoint), region rows (aggregate and failback), which override governs each.
 * Writer:  stages words with the publisher. `settleRegions()` recomputes the regions whose addresses changed.
 * Units:   steady ms inside; flip times in Unix seconds, rounded down, in the words.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Electorate } from "#health/electorate.ts";
import {
  type Failback,
  firstFailback,
  isHeld,
  nextPlannedMs,
  rampPercent,
  returnFromOverride,
  stepFailback,
} from "#health/failback.ts";
import { createMatcher } from "#health/glob.ts";
import { identityOf } from "#health/identity.ts";
import { QUIET } from "#health/machine.ts";
import type { Overrides } from "#health/overrides.ts";
import type { Publisher } from "#health/publish.ts";
import { aggregate, type Member, type RegionHealth } from "#health/region.ts";
import { tellDropped, tellFailback } from "#health/region-events.ts";
import { excessTenthsMs } from "#health/rtt.ts";
import type { HeapItem } from "#health/timer-heap.ts";
import type { TransitionCounters } from "#health/transitions.ts";
import type { Watch, Watched } from "#health/watch.ts";
import type { RhumbEvent } from "#state/events.ts";
import { emptyTargetState, OVERRIDE, type TargetState, VERDICT, type Verdict } from "#state/health-table.ts";
import {
  type CheckSpec,
  type HealthSnapshot,
  type OverrideSpec,
  type TargetSpec,
  UNTIL_CLEARED_MS,
} from "#state/snapshot.ts";

export type AddressSpec = Extract<TargetSpec, { kind: "address" }>;
export type RegionSpecRow = Extract<TargetSpec, { kind: "region" }>;

export type AddressRow = {
  readonly kind: "address";
  spec: AddressSpec;
  /** Undefined: not probed; known only by the word of its region. */
  watched: Watched | undefined;
  regions: RegionRow[];
  override: OverrideSpec | undefined;
  loadPermille: number;
  readonly state: TargetState;
};
export type RegionRow = {
  readonly kind: "region";
  spec: RegionSpecRow;
  families: readonly (readonly AddressRow[])[];
  failback: Failback;
  health: RegionHealth;
  override: OverrideSpec | undefined;
  /** Steady ms since when an override `down` holds. */
  overriddenSinceMs: number | undefined;
  loadPermille: number;
  /** Timer of its next planned change. */
  readonly plan: HeapItem;
  readonly state: TargetState;
};
export type Row = AddressRow | RegionRow;

export type Rows = {
  apply(snapshot: HealthSnapshot, checks: ReadonlyMap<string, CheckSpec>): void;
  all(): readonly Row[];
  address(index: number): AddressRow | undefined;
  region(id: string): RegionRow | undefined;
  /** Rows that show this endpoint. */
  of(watched: Watched): readonly AddressRow[];
  /** @returns whether there is something to flush */
  stageWatched(watched: Watched): boolean;
  /** Its word is another, or about to be: what is not probed follows it. */
  stageUnwatched(row: RegionRow): void;
  /** After a change of configuration or overrides. */
  stageAll(): void;
  settleRegions(): void;
  /** What the vantages alone make of a region, whatever it says of itself. */
  isUpByProbes(row: RegionRow): boolean;
  setFailback(row: RegionRow, failback: Failback, cause: string): void;
  setLoad(index: number, loadPermille: number): boolean;
  /** Ids that a target or glob matches. */
  matching(target: string): readonly string[];
  /** Whether the row is out of service: by an operator, or because it is down or held. `extra`: if that came on top. */
  isOut(index: number, extra?: OverrideSpec): boolean;
};

const OVERRIDE_OF_VERB = {
  up: OVERRIDE.up,
  down: OVERRIDE.down,
  drain: OVERRIDE.drain,
  "ignore-health": OVERRIDE.ignoreHealth,
} as const;

export const isTakenOut = (override: OverrideSpec | undefined): boolean =>
  override?.verb === "down" || (override?.verb === "drain" && override.weightPercent === 0);

export function createRows(options: {
  readonly clock: Clock;
  readonly publisher: Publisher;
  readonly watch: Watch;
  readonly electorate: Electorate;
  readonly overrides: Overrides;
  readonly transitions: TransitionCounters;
  readonly tell: (event: Omit<RhumbEvent, "atMs">) => void;
  /** Asks for a flush soon. */
  readonly plan: () => void;
}): Rows {
  const { clock, publisher, watch, electorate, overrides, transitions, tell, plan } = options;
  const byIndex = new Map<number, Row>();
  const byWatched = new Map<Watched, AddressRow[]>();
  const dirtyRegions = new Set<RegionRow>();
  const scratch = emptyTargetState();

  const unixSeconds = (steadyMs: number): number =>
    steadyMs === QUIET ? 0 : Math.floor((steadyMs - clock.monotonicMs() + clock.nowMs()) / 1_000);

  /** Adds what the override says to the state, and the end of it to the flip: a planned change (ruling 5). */
  const applyOverride = (state: TargetState, override: OverrideSpec | undefined, flipMs: number): void => {
    state.override = override === undefined ? OVERRIDE.none : OVERRIDE_OF_VERB[override.verb];
    state.weightPercent = override?.verb === "drain" ? override.weightPercent : 100;
    const ofHealth = unixSeconds(flipMs);
    const hasEnd = override !== undefined && override.untilMs !== UNTIL_CLEARED_MS;
    const ofOverride = hasEnd ? Math.floor(override.untilMs / 1_000) : 0;
    if (override === undefined) state.flipAtSeconds = ofHealth;
    else if (override.verb !== "drain" || ofHealth === 0) state.flipAtSeconds = ofOverride;
    else if (ofOverride === 0) state.flipAtSeconds = ofHealth;
    else state.flipAtSeconds = Math.min(ofHealth, ofOverride);
  };

  const regionIds = (row: AddressRow): string[] => row.regions.map(({ spec }) => spec.id);
  const verdictOf = (row: AddressRow): Verdict => {
    const { watched } = row;
    if (watched === undefined) {
      const word = electorate.wordOf(regionIds(row));
      return word === undefined ? VERDICT.unknown : word === "yes" ? VERDICT.up : VERDICT.down;
    }
    if (!watched.isKnown) return VERDICT.unknown;
    if (!watched.isUp) return VERDICT.down;
    return watched.isHeld ? VERDICT.held : VERDICT.up;
  };
  const flipMsOf = (row: AddressRow): number =>
    row.watched === undefined ? electorate.wordTurnMs(regionIds(row), clock.monotonicMs()) : watch.flipMs(row.watched);

  const stageAddress = (row: AddressRow): boolean => {
    const { watched, state } = row;
    state.verdict = verdictOf(row);
    state.isStale = watched !== undefined && watch.isBlind(watched);
    state.isLowConfidence = watched !== undefined && (watched.isLowConfidence || watched.isFrozen);
    state.rttMicros = Math.round(watched?.rtt.smoothedMicros ?? 0);
    state.excessRttTenthsMs = watched === undefined ? 0 : excessTenthsMs(watched.rtt);
    state.loadPermille = row.loadPermille;
    applyOverride(state, row.override, flipMsOf(row));
    // A balancer asks for the state of its backends alone. Their times would move the epoch, for which all who steer wake.
    const published = row.spec.isBackend ? { ...state, flipAtSeconds: 0, rttMicros: 0, excessRttTenthsMs: 0 } : state;
    const isChanged = publisher.stage(row.spec.index, published, clock.nowMs());
    if (isChanged) for (const region of row.regions) dirtyRegions.add(region);
    return isChanged;
  };

  const memberOf = (row: AddressRow): Member => {
    const { override, state } = row;
    const isForced = override !== undefined && override.verb !== "drain";
    return {
      isUp: isForced ? override.verb !== "down" : state.verdict !== VERDICT.down,
      isHeld: !isForced && state.verdict === VERDICT.held,
      flipMs: isForced ? QUIET : flipMsOf(row),
      isKnown: state.verdict !== VERDICT.unknown,
      isStale: state.isStale,
      isLowConfidence: state.isLowConfidence,
      rttMicros: state.rttMicros,
      excessRttTenthsMs: state.excessRttTenthsMs,
    };
  };

  const setFailback = (row: RegionRow, failback: Failback, cause: string): void => {
    const before = row.failback;
    row.failback = failback;
    dirtyRegions.add(row);
    if (before === failback) return;
    if (before.phase !== failback.phase) transitions.count("region", before.phase, failback.phase, cause);
    tellFailback(row, before, cause, tell);
  };

  const stageRegion = (row: RegionRow): void => {
    const { spec, state } = row;
    const nowMs = clock.monotonicMs();
    row.health = aggregate(
      row.families.map((family) => family.map(memberOf)),
      spec.upThreshold,
    );
    for (;;) {
      const stepped = stepFailback(row.failback, row.health.isUp, nowMs, spec.failback);
      if (stepped === row.failback) break;
      const isByTime = row.failback.phase === "hold" || row.failback.phase === "ramp";
      setFailback(row, stepped, row.health.isUp ? (isByTime ? `${row.failback.phase}-ended` : "probes") : "addresses");
    }
    const { failback, health } = row;
    const isGuess = !health.isKnown && failback.phase === "up";
    if (isGuess) state.verdict = VERDICT.unknown;
    else if (failback.phase === "down") state.verdict = VERDICT.down;
    else state.verdict = health.isHeld ? VERDICT.held : VERDICT.up;
    state.isHeldForFailback = isHeld(failback);
    state.isStale = health.isStale;
    state.isLowConfidence = health.isLowConfidence;
    state.rampPercent = rampPercent(failback, spec.failback);
    state.rttMicros = health.rttMicros;
    state.excessRttTenthsMs = health.excessRttTenthsMs;
    state.loadPermille = row.loadPermille;
    const plannedMs = nextPlannedMs(failback, spec.failback);
    applyOverride(state, row.override, Math.min(health.flipMs, plannedMs));
    if (plannedMs === QUIET) watch.scheduler.heap.remove(row.plan);
    else watch.scheduler.heap.set(row.plan, plannedMs);
    publisher.stage(spec.index, state, clock.nowMs());
  };

  const createAddress = (spec: AddressSpec): AddressRow => ({
    kind: "address",
    spec,
    watched: undefined,
    regions: [],
    override: undefined,
    loadPermille: 0,
    state: emptyTargetState(),
  });
  const createRegion = (spec: RegionSpecRow): RegionRow => {
    const row: RegionRow = {
      kind: "region",
      spec,
      families: [],
      failback: firstFailback(clock.monotonicMs()),
      health: aggregate([], 1),
      override: undefined,
      overriddenSinceMs: undefined,
      loadPermille: 0,
      plan: {
        dueMs: 0,
        heapIndex: -1,
        fire() {
          dirtyRegions.add(row);
          plan();
        },
      },
      state: emptyTargetState(),
    };
    return row;
  };

  const drop = (index: number, row: Row): void => {
    tellDropped(row, tell);
    if (row.kind === "region") {
      watch.scheduler.heap.remove(row.plan);
      dirtyRegions.delete(row);
    }
    byIndex.delete(index);
    publisher.stage(index, { ...scratch, rampPercent: 0, weightPercent: 0 }, clock.nowMs());
  };

  const governRegion = (row: RegionRow): void => {
    const nowMs = clock.monotonicMs();
    row.override = overrides.find(row.spec.id);
    // From when it was set, not from when this process first saw it: a restart must not skip the ramp.
    if (row.override?.verb === "down") {
      row.overriddenSinceMs ??= nowMs - Math.max(0, clock.nowMs() - row.override.createdAtMs);
    }
    if (row.override?.verb !== "down" && row.overriddenSinceMs !== undefined) {
      const returned = returnFromOverride(row.failback, nowMs - row.overriddenSinceMs, nowMs, row.spec.failback);
      row.overriddenSinceMs = undefined;
      if (returned !== row.failback) setFailback(row, returned, "override-ended");
    }
  };

  return {
    apply(snapshot, checks) {
      const specs = new Map(snapshot.targets.map((spec) => [spec.index, spec]));
      for (const [index, row] of [...byIndex]) {
        const spec = specs.get(index);
        if (spec?.id !== row.spec.id || spec.kind !== row.kind) drop(index, row);
      }
      byWatched.clear();
      for (const spec of snapshot.targets) {
        let row = byIndex.get(spec.index);
        if (row === undefined) {
          row = spec.kind === "region" ? createRegion(spec) : createAddress(spec);
          byIndex.set(spec.index, row);
        }
        row.spec = spec;
        if (row.kind !== "address" || spec.kind !== "address") continue;
        const check = spec.check === undefined ? undefined : checks.get(spec.check);
        if (check === undefined) tellDropped(row, tell);
        row.watched = check === undefined ? undefined : watch.get(identityOf(check, spec));
        row.regions = [];
        if (row.watched !== undefined) byWatched.set(row.watched, [...(byWatched.get(row.watched) ?? []), row]);
      }
      for (const row of byIndex.values()) {
        if (row.kind !== "region") continue;
        const v4 = new Set(row.spec.v4Members);
        const members = row.spec.members.flatMap((index) => {
          const member = byIndex.get(index);
          return member?.kind === "address" ? [member] : [];
        });
        for (const member of members) member.regions.push(row);
        row.families = [
          members.filter((member) => v4.has(member.spec.index)),
          members.filter((member) => !v4.has(member.spec.index)),
        ];
      }
    },
    all: () => [...byIndex.values()],
    address(index) {
      const row = byIndex.get(index);
      return row?.kind === "address" ? row : undefined;
    },
    region(id) {
      for (const row of byIndex.values()) if (row.kind === "region" && row.spec.id === id) return row;
      return undefined;
    },
    of: (watched) => byWatched.get(watched) ?? [],
    stageWatched(watched) {
      let isChanged = false;
      for (const row of byWatched.get(watched) ?? []) isChanged = stageAddress(row) || isChanged;
      return isChanged;
    },
    stageUnwatched({ families }) {
      for (const row of families.flat()) if (row.watched === undefined) stageAddress(row);
    },
    stageAll() {
      for (const row of byIndex.values()) {
        if (row.kind === "region") {
          governRegion(row);
          dirtyRegions.add(row);
        } else {
          row.override = overrides.find(row.spec.id);
          stageAddress(row);
        }
      }
    },
    settleRegions() {
      for (const row of [...dirtyRegions]) stageRegion(row);
      dirtyRegions.clear();
    },
    isUpByProbes({ families, spec }) {
      const members = families.map((family) =>
        family.map((row) => ({ ...memberOf(row), isUp: row.watched?.isUpByProbes ?? true })),
      );
      return aggregate(members, spec.upThreshold).isUp;
    },
    setFailback,
    setLoad(index, loadPermille) {
      const row = byIndex.get(index);
      if (row === undefined || row.loadPermille === loadPermille) return false;
      row.loadPermille = loadPermille;
      if (row.kind === "region") dirtyRegions.add(row);
      else stageAddress(row);
      return true;
    },
    matching(target) {
      const matches = createMatcher(target);
      return [...byIndex.values()].flatMap((row) => (matches(row.spec.id) ? [row.spec.id] : []));
    },
    isOut(index, extra) {
      const row = byIndex.get(index);
      if (row === undefined) return false;
      const override = overrides.find(row.spec.id, extra);
      if (override !== undefined && override.verb !== "drain") return override.verb === "down";
      return isTakenOut(override) || row.state.verdict === VERDICT.down || row.state.isHeldForFailback;
    },
  };
}
