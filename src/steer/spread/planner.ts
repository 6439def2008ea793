/**
 * The planner: looks at answers, reports and health every few seconds, and keeps the spread plan.
 *
 * Owns:    what goes from one plan to the next: what answers are worth, where clients would go by themselves, and the shares
 *          that are in force. Away from a full region they move fast, back slowly; when a region comes or goes the new plan
 *          holds at once. Regions whose capacity nobody knows keep what they have, and get nothing more.
 * Never:   reads a clock, or writes anything: plans go to the door by who calls.
 * Units:   requests per second; seconds; levels and shares 0 to 1.
 * @module
 */
import { combine32, hashText } from "#base/hash.ts";
import type { ClassFacts } from "#state/class-facts.ts";
import type { ServiceSpec } from "#state/snapshot.ts";
import type { SpreadPlan, SpreadRow } from "#state/spread.ts";
import { type HitNumbering, numberingOf } from "#state/steering-hits.ts";
import { type BoundService, bindService } from "#steer/candidate.ts";
import { unknownFacts } from "#steer/classify.ts";
import { mapRegionIds } from "#steer/map-spec.ts";
import {
  FULL_SHARE,
  fingerprintLength,
  RANK,
  type RegionState,
  readFingerprint,
  statesFrom,
} from "#steer/region-state.ts";
import { type ClassAnswers, type ClassDemand, createDemand, type Demand } from "#steer/spread/demand.ts";
import type { SpreadRegion } from "#steer/spread/flow.ts";
import {
  baseRows,
  type GroupShares,
  groupKey,
  type SolvedProblem,
  type SpreadGroup,
  type SpreadProblem,
  sharesOf,
  solve,
  withoutRegion,
} from "#steer/spread/plan.ts";
import { type Preference, preferencesOf } from "#steer/spread/preferences.ts";

/** What balancers report of a region; undefined: nobody does, or knows. */
export type RegionLoad = { readonly offeredRps: number | undefined; readonly capacityRps: number | undefined };

export type PlannerInput = {
  readonly world: HitNumbering;
  readonly healthTable: Uint32Array;
  /** Since the last step. */
  readonly answers: readonly ClassAnswers[];
  /** In the order of `world.regions`. */
  readonly loads: readonly RegionLoad[];
  /** Since the last step; 0: only health has changed. */
  readonly seconds: number;
  /** How long caches hold answers, and the share of load behind those that hold them longer. */
  readonly ttlSeconds: number;
  readonly stretching: number;
};

export type SpreadView = {
  /** Why there is no plan; empty where there is one. */
  readonly says: string;
  /** Share of capacity up to which regions are filled. Above 1: there is more demand than capacity. */
  readonly level: number;
  readonly isFeasible: boolean;
  readonly demandRps: number;
  /** Of it, what does not go to its first choice. */
  readonly movedRps: number;
  readonly groups: number;
  readonly regions: readonly {
    readonly region: string;
    readonly capacityRps: number | null;
    /** Wanted of it if nobody were moved, and what it gets by the plan. */
    readonly naturalRps: number;
    readonly plannedRps: number;
    /** Level that is reached when this region is lost; null: that plan has not been made yet. */
    readonly levelWithout: number | null;
  }[];
};

export type SpreadPlanner = {
  /** @returns the plan, to be published; without one for any service the answers follow load words alone */
  step(input: PlannerInput): SpreadPlan;
  view(): SpreadView;
};

/** Classes that are planned one by one; the rest, with the least demand, counts as load that cannot be moved. */
const MAX_GROUPS = 500;
/** Of the way to the shares that were found, in one step. */
const AWAY = 0.4;
const BACK = 0.15;
/** Shares that change less than this stay as they are: each change costs workers their compiled answers. */
const STILL = 0.01;
/** Plans for a loss that are made in one step: fifty regions take a while. */
const LOSSES_PER_STEP = 8;

type Bound = {
  readonly number: number;
  readonly service: BoundService;
  readonly factsOf: (classNumber: number) => ClassFacts;
  /** Its regions in the health table, load and announcements left out. */
  fingerprint: string;
  states: readonly RegionState[];
  /** By class, for these states. */
  preferences: Map<number, readonly Preference[]>;
};

const isSpread = ({ chain }: ServiceSpec): boolean =>
  chain.some((filter) => filter.name === "shed" && filter.spread === "capacity");
const lowOf = ({ chain }: ServiceSpec): number =>
  Math.min(...chain.map((filter) => (filter.name === "shed" ? filter.lowPermille / 1_000 : 1)));

function bind(world: HitNumbering): Bound[] {
  return world.services.map((spec, number) => {
    const regionIds = spec.mapId === undefined ? [] : mapRegionIds(spec, world.regions);
    const map = world.maps.find(({ mapId }) => mapId === spec.mapId);
    const unknown = unknownFacts(regionIds.length, spec.chain.filter(({ name }) => name === "geofence").length);
    return {
      number,
      service: { ...bindService(spec, world.regions, regionIds), usesLoad: false, usesLatency: false },
      factsOf: (classNumber) => map?.classes[classNumber] ?? unknown,
      fingerprint: "",
      states: [],
      preferences: new Map(),
    };
  });
}

export function createSpreadPlanner(): SpreadPlanner {
  let numbering = 0;
  let bound: Bound[] = [];
  let demand: Demand = createDemand();
  let shares: GroupShares = new Map();
  let counted: readonly boolean[] = [];
  /** Plans for the loss of a region, and the level that is reached then. */
  let losses = new Map<number, { readonly rows: readonly SpreadRow[]; readonly level: number }>();
  let nextLoss = 0;
  let view: SpreadView = EMPTY_VIEW;

  function renumber(world: HitNumbering): void {
    const number = numberingOf(world);
    if (number === numbering) return;
    numbering = number;
    bound = bind(world);
    demand = createDemand();
    shares = new Map();
    losses = new Map();
    counted = [];
  }

  /** Looks at health again. */
  function look(one: Bound, table: Uint32Array): void {
    const words = new Uint32Array(fingerprintLength(one.service));
    readFingerprint(one.service, table, words, new Float64Array(one.service.candidates.length));
    const states = statesFrom(one.service, words).map((state) => ({ ...state, isQuiet: true }));
    const fingerprint = states.map(({ rank, share }) => `${rank} ${share}`).join();
    if (fingerprint === one.fingerprint) return;
    one.fingerprint = fingerprint;
    one.states = states;
    one.preferences = new Map();
  }

  function preferencesFor(one: Bound, classNumber: number): readonly Preference[] {
    const found =
      one.preferences.get(classNumber) ??
      preferencesOf(one.service, { facts: one.factsOf(classNumber), states: one.states, measuredMicros: undefined });
    one.preferences.set(classNumber, found);
    return found;
  }

  /** Share of its clients that each region takes: 0 where it is not up, less than 1 in a ramp. */
  function takenShares(regions: number): number[] {
    const taken = new Array<number>(regions).fill(0);
    for (const { service, states } of bound) {
      for (const { index, regionNumber } of service.candidates) {
        const { rank, share } = states[index]!;
        if (rank === RANK.up) taken[regionNumber] = Math.max(taken[regionNumber]!, share / FULL_SHARE);
      }
    }
    return taken;
  }

  function groupsOf(one: Bound, { class: classNumber, rps }: ClassDemand, regions: number): SpreadGroup[] {
    return preferencesFor(one, classNumber).map(({ natural, share, choices }) => {
      const costs = new Array<number>(regions).fill(Number.POSITIVE_INFINITY);
      for (const { candidate, cost } of choices) costs[candidate.regionNumber] = cost;
      const { regionNumber } = natural;
      return { service: one.number, class: classNumber, natural: regionNumber, demandRps: rps * share, costs };
    });
  }

  function problemOf({ world, loads }: PlannerInput, taken: readonly number[]): SpreadProblem {
    const groups: SpreadGroup[] = [];
    const fixed = world.regions.map((_, region) => demand.unexplained(region));
    for (const one of [...demand.classes()].sort((a, b) => b.rps - a.rps)) {
      const of = bound[one.service]!;
      const found = isSpread(of.service.spec) ? groupsOf(of, one, world.regions.length) : [];
      if (found.length > 0 && groups.length + found.length <= MAX_GROUPS) groups.push(...found);
      else for (const [region, rps] of one.at) fixed[region]! += rps;
    }
    return {
      groups,
      regions: loads.map(({ offeredRps, capacityRps }, region): SpreadRegion => {
        const isKnown = offeredRps !== undefined && capacityRps !== undefined;
        const share = taken[region]!;
        if (share === 0) return { capacity: 0, fixed: 0 };
        return { capacity: isKnown ? capacityRps * share : undefined, fixed: fixed[region]! };
      }),
      level: Math.min(
        ...bound.filter(({ service }) => isSpread(service.spec)).map(({ service }) => lowOf(service.spec)),
      ),
    };
  }

  /**
   * From the shares in force towards those that were found, for all groups by the same part of the way: who moved some away
   * fast and others back slowly would move more than was found.
   */
  function approach(found: ReadonlyMap<string, readonly number[]>, groups: readonly SpreadGroup[]): GroupShares {
    const next = new Map<string, readonly number[]>();
    let moving = 0;
    const all = groups.map(({ service, class: classNumber, natural, costs, demandRps }) => {
      const key = groupKey(service, classNumber, natural);
      const home = costs.map((_, region) => (region === natural ? 1 : 0));
      const target = found.get(key) ?? home;
      const before = shares.get(key) ?? home;
      moving += demandRps * (before[natural]! - target[natural]!);
      return { key, target, before };
    });
    const part = moving > 0 ? AWAY : BACK;
    for (const { key, target, before } of all) {
      const far = Math.max(...target.map((share, region) => Math.abs(share - before[region]!)));
      if (far < STILL) {
        if (shares.has(key)) next.set(key, before);
        continue;
      }
      const step = Math.max(part, STILL / far);
      next.set(
        key,
        target.map((share, region) => before[region]! + (share - before[region]!) * step),
      );
    }
    return next;
  }

  function planLosses(solved: SolvedProblem): void {
    const { load } = solved.found;
    const order = load
      .map((_, region) => region)
      .filter((region) => counted[region] && load[region]! > 0)
      .sort((a, b) => load[b]! - load[a]!);
    const count = Math.min(LOSSES_PER_STEP, order.length);
    for (let index = 0; index < count; index++) {
      const lost = order[(nextLoss + index) % order.length]!;
      losses.set(lost, withoutRegion(solved, lost));
    }
    nextLoss = order.length === 0 ? 0 : (nextLoss + count) % order.length;
  }

  function nothing(world: HitNumbering, says: string): SpreadPlan {
    view = { ...EMPTY_VIEW, says };
    shares = new Map();
    losses = new Map();
    counted = [];
    return {
      numbering,
      versions: world.services.map(() => 0),
      isCounted: world.regions.map(() => false),
      rows: [],
    };
  }

  return {
    step(input) {
      const { world, loads } = input;
      renumber(world);
      const offered = loads.map(({ offeredRps }) => offeredRps);
      if (input.seconds > 0) demand.note(input.answers, offered, input.seconds, input.ttlSeconds, input.stretching);
      for (const one of bound) look(one, input.healthTable);
      if (!world.services.some(isSpread)) return nothing(world, "No service spreads its clients by capacity");
      if (!loads.some(({ offeredRps, capacityRps }) => offeredRps !== undefined && capacityRps !== undefined))
        return nothing(world, "No region reports its load, or nobody knows the capacities");
      if (!demand.isSettled()) return nothing(world, "Still learning what answers are worth");

      const taken = takenShares(world.regions.length);
      const isCounted = taken.map((share) => share > 0);
      const isOther = isCounted.some((is, region) => is !== counted[region]);
      if (isOther) {
        // What was planned ahead for this has been served since health changed; it is no longer where to start from.
        counted = isCounted;
        losses = new Map();
        nextLoss = 0;
      }
      const solved = solve(problemOf(input, taken), isOther ? new Map() : shares);
      const found = sharesOf(solved);
      shares = isOther ? found : approach(found, solved.groups);
      planLosses(solved);
      const rows = [...baseRows(solved.groups, shares), ...[...losses.values()].flatMap((each) => each.rows)];
      view = viewOf(input, solved, shares, losses);
      return {
        numbering,
        versions: world.services.map((spec, number) => versionOf(spec, number, rows, counted)),
        isCounted: counted,
        rows,
      };
    },
    view: () => view,
  };
}

/** Equal for equal rows; never 0 where there is a plan. */
function versionOf(spec: ServiceSpec, number: number, rows: readonly SpreadRow[], counted: readonly boolean[]): number {
  if (!isSpread(spec)) return 0;
  let hash = hashText(counted.map(Number).join(""));
  for (const { service, class: classNumber, lost, natural, shares } of rows) {
    if (service !== number) continue;
    hash = combine32(combine32(combine32(hash, classNumber), lost), natural);
    for (const [index, region] of shares.regions.entries())
      hash = combine32(combine32(hash, region), shares.ends[index]!);
  }
  return hash | 1;
}

const EMPTY_VIEW: SpreadView = {
  says: "Nothing has been reported yet",
  level: 0,
  isFeasible: true,
  demandRps: 0,
  movedRps: 0,
  groups: 0,
  regions: [],
};

function viewOf(
  { world, loads }: PlannerInput,
  { groups, regions, level, found: base }: SolvedProblem,
  shares: GroupShares,
  losses: ReadonlyMap<number, { readonly level: number }>,
): SpreadView {
  const natural = regions.map(({ fixed }) => fixed);
  const planned = regions.map(({ fixed }) => fixed);
  let movedRps = 0;
  for (const { service, class: classNumber, natural: home, demandRps } of groups) {
    natural[home]! += demandRps;
    const row = shares.get(groupKey(service, classNumber, home));
    for (let region = 0; region < regions.length; region++)
      planned[region]! += demandRps * (row?.[region] ?? (region === home ? 1 : 0));
    movedRps += demandRps * (1 - (row?.[home] ?? 1));
  }
  return {
    says: "",
    level: Math.max(level, base.level),
    isFeasible: regions.every(
      ({ capacity }, region) => capacity === undefined || base.load[region]! <= capacity * 1.001,
    ),
    demandRps: groups.reduce((sum, { demandRps }) => sum + demandRps, 0),
    movedRps,
    groups: groups.length,
    regions: world.regions.map(({ id }, region) => ({
      region: id,
      capacityRps: loads[region]!.capacityRps ?? null,
      naturalRps: natural[region]!,
      plannedRps: planned[region]!,
      levelWithout: losses.get(region)?.level ?? null,
    })),
  };
}
