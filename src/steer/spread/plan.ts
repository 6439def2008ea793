/**
 * One plan: demand and capacities in, rows of the spread door out; for the regions as they are, and for the loss of each.
 *
 * Owns:    what makes a problem for the solver of services, classes and regions, and how its flows become shares.
 * Never:   remembers: what changes slowly from plan to plan is `planner.ts`.
 * Units:   requests per second; shares 0 to 1; ms.
 * @module
 */
import { NO_LOSS, type SpreadRow, type SpreadShares } from "#state/spread.ts";
import { ROLL_VALUES } from "#steer/rolls.ts";
import { type Spread, type SpreadRegion, type SpreadSource, spread } from "#steer/spread/flow.ts";

/** Clients of a class of a service that have the same first choice. */
export type SpreadGroup = {
  readonly service: number;
  readonly class: number;
  readonly natural: number;
  readonly demandRps: number;
  /** By region, in ms beyond the first choice; Infinity: not allowed. */
  readonly costs: readonly number[];
};

/** Shares by group key, then by region. */
export type GroupShares = ReadonlyMap<string, readonly number[]>;

export type SpreadProblem = {
  readonly groups: readonly SpreadGroup[];
  readonly regions: readonly SpreadRegion[];
  /** Share of capacity up to which regions are filled at first. */
  readonly level: number;
};

export const groupKey = (service: number, classNumber: number, natural: number): string =>
  `${service} ${classNumber} ${natural}`;

/** To leave a region that a group was sent to must be worth this much, so that equals do not change places. */
const CHURN_MS = 3;
/** Smaller parts of a group than this move nobody. */
const MIN_SHARE = 0.005;

/** A problem with its solution; what is planned ahead goes on from there, with the same costs. */
export type SolvedProblem = SpreadProblem & { readonly sources: readonly SpreadSource[]; readonly found: Spread };

/** @param before shares of the plan that is in force */
export function solve(problem: SpreadProblem, before: GroupShares): SolvedProblem {
  const sources = problem.groups.map(({ service, class: classNumber, natural, demandRps, costs }): SpreadSource => {
    const shares = before.get(groupKey(service, classNumber, natural));
    const isThere = (region: number): boolean => region !== natural && (shares?.[region] ?? 0) > MIN_SHARE;
    return {
      demand: demandRps,
      costs: shares === undefined ? costs : costs.map((cost, region) => (isThere(region) ? cost - CHURN_MS : cost)),
    };
  });
  return { ...problem, sources, found: spread(sources, problem.regions, problem.level) };
}

/** What the solver found, as shares; groups that stay at their first choice are not among them. */
export function sharesOf({ groups, found: { flow } }: SolvedProblem): Map<string, number[]> {
  const shares = new Map<string, number[]>();
  for (const [index, { service, class: classNumber, natural, demandRps }] of groups.entries()) {
    if (demandRps <= 0) continue;
    const row = [...flow[index]!].map((amount) => amount / demandRps);
    if (row[natural]! < 1 - MIN_SHARE) shares.set(groupKey(service, classNumber, natural), row);
  }
  return shares;
}

/** The plan for the loss of one region, made from the spread that is in force. */
export function withoutRegion(
  { groups, regions, level, sources: base, found: before }: SolvedProblem,
  lost: number,
): { readonly rows: readonly SpreadRow[]; readonly level: number } {
  const without = (costs: readonly number[]): number[] =>
    costs.map((cost, region) => (region === lost ? Number.POSITIVE_INFINITY : cost));
  const sources = base.map(({ demand, costs }): SpreadSource => ({ demand, costs: without(costs) }));
  const kept = sources.map(({ costs }) => costs.some((cost) => cost < Number.POSITIVE_INFINITY));
  const left = groups.filter((_, index) => kept[index]);
  const found = spread(
    sources.filter((_, index) => kept[index]),
    regions.map((region, index) => (index === lost ? { capacity: 0, fixed: 0 } : region)),
    level,
    { ...before, flow: before.flow.filter((_, index) => kept[index]) },
  );
  // Without the region some groups have another first choice; those of one class that now have the same become one.
  const merged = new Map<string, { group: SpreadGroup; demandRps: number; amounts: number[] }>();
  for (const [index, group] of left.entries()) {
    const costs = without(group.costs);
    const natural = costs.indexOf(Math.min(...costs));
    const key = groupKey(group.service, group.class, natural);
    const one = merged.get(key) ?? {
      group: { ...group, natural },
      demandRps: 0,
      amounts: new Array<number>(regions.length).fill(0),
    };
    one.demandRps += group.demandRps;
    for (const [region, amount] of found.flow[index]!.entries()) one.amounts[region]! += amount;
    merged.set(key, one);
  }
  const rows = [...merged.values()].flatMap(({ group, demandRps, amounts }) =>
    rowOf(
      group,
      lost,
      amounts.map((amount) => (demandRps > 0 ? amount / demandRps : 0)),
    ),
  );
  return { rows, level: found.level };
}

/** @returns no row for who stays at the first choice */
export function rowOf(
  group: Pick<SpreadGroup, "service" | "class" | "natural">,
  lost: number,
  shares: readonly number[],
): SpreadRow[] {
  const { service, class: classNumber, natural } = group;
  if ((shares[natural] ?? 0) >= 1 - MIN_SHARE || shares.every((share) => share === 0)) return [];
  return [{ service, class: classNumber, lost, natural, shares: endsOf(natural, shares) }];
}

/** The first choice has the low end of the roll, so that a share that grows or shrinks moves those at its edge alone. */
function endsOf(natural: number, shares: readonly number[]): SpreadShares {
  const parts = shares
    .map((share, region) => ({ region, share }))
    .filter(({ region, share }) => region === natural || share >= MIN_SHARE)
    .sort((a, b) => Number(b.region === natural) - Number(a.region === natural) || a.region - b.region);
  const sum = parts.reduce((total, { share }) => total + share, 0);
  let end = 0;
  return {
    regions: parts.map(({ region }) => region),
    ends: parts.map(({ share }) => {
      end += share;
      return Math.round((end * ROLL_VALUES) / sum);
    }),
  };
}

export const baseRows = (groups: readonly SpreadGroup[], shares: GroupShares): SpreadRow[] =>
  groups.flatMap((group) => {
    const row = shares.get(groupKey(group.service, group.class, group.natural));
    return row === undefined ? [] : rowOf(group, NO_LOSS, row);
  });
