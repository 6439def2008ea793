/**
 * Spreads demand over regions at the least cost, none above its limit: a minimum-cost flow.
 *
 * Owns:    the solver. Everybody starts where it costs least; then, while a region is over its limit, the cheapest chain of
 *          moves from such a region to one with room is carried out (successive shortest paths; Ahuja, Magnanti and Orlin,
 *          "Network Flows", 1993, §9.7). Paths are looked for among regions alone: the way from one to another costs what the
 *          one of its sources pays that pays least, so 500 sources and 50 regions take milliseconds.
 * Never:   knows services, clients or health.
 * Units:   demand and capacity in requests per second; costs in ms of round-trip time.
 * @module
 */

export type SpreadSource = {
  readonly demand: number;
  /** What each region costs it; Infinity: not allowed. At least one is finite. */
  readonly costs: readonly number[];
};

export type SpreadRegion = {
  /** Undefined: not known, so that it neither gives nor takes. 0: takes nothing, and gives all. */
  readonly capacity: number | undefined;
  /** Load that cannot be moved. */
  readonly fixed: number;
};

export type Spread = {
  /** By source, then by region: requests per second. */
  readonly flow: readonly Float64Array[];
  readonly load: Float64Array;
  /**
   * The lowest share of capacity, from `level` on, under which all regions could be kept that can be helped. Above 1 there is
   * no way to serve all: the rest is spread by capacity.
   */
  readonly level: number;
};

/** When all cannot be kept below a level, the next is tried: so much higher. */
const LEVEL_STEP = 0.02;
/** Shares of demand that are too small to count. */
const TINY = 1e-9;

/**
 * @param level share of capacity up to which regions are filled at first, such as 0.7
 * @param before where to start from, such as the spread before a region was lost; undefined: each source at its best
 */
export function spread(
  sources: readonly SpreadSource[],
  regions: readonly SpreadRegion[],
  level: number,
  before?: Spread,
): Spread {
  let reached = level;
  const first = createFlow(sources, regions, before);
  while (first.relieve(reached) === "full") {
    // Far above its capacity the width of a step does not matter.
    reached += reached < 1.2 ? LEVEL_STEP : reached * 0.1;
  }
  if (reached === level) return { flow: first.flow, load: first.load, level };
  // Who was moved at a lower level may have room at home by now: once more, with the level known.
  const second = createFlow(sources, regions, undefined);
  second.relieve(reached);
  return { flow: second.flow, load: second.load, level: reached };
}

function createFlow(sources: readonly SpreadSource[], regions: readonly SpreadRegion[], before: Spread | undefined) {
  const flow = sources.map(({ demand, costs }, index) => startOf(demand, costs, before?.flow[index]));
  const load = Float64Array.from(regions, ({ fixed }) => fixed);
  for (const row of flow) for (let region = 0; region < load.length; region++) load[region]! += row[region]!;
  const graph = createGraph(sources, flow, regions.length);
  const tiny = TINY * (1 + load.reduce((sum, each) => sum + each, 0));

  /**
   * Moves what is over the level to where there is room below it.
   *
   * @returns `full`: some of it found no room; `stuck`: what is left over may go nowhere else, at any level
   */
  function relieve(level: number): "done" | "full" | "stuck" {
    const room = Float64Array.from(regions, ({ capacity }, region) =>
      capacity === undefined ? 0 : level * capacity - load[region]!,
    );
    for (;;) {
      const path = graph.cheapest(room, tiny);
      if (path === undefined) {
        const over = regions.map((_, region) => region).filter((region) => room[region]! < -tiny);
        if (over.length === 0) return "done";
        return over.some((region) => graph.mayLeave(region, (to) => (regions[to]!.capacity ?? 0) > 0))
          ? "full"
          : "stuck";
      }
      const start = path[0]!.from;
      const end = path.at(-1)!.to;
      let amount = Math.min(-room[start]!, room[end]!);
      for (const { source, from } of path) amount = Math.min(amount, flow[source]![from]!);
      for (const { source, from, to } of path) {
        flow[source]![from]! -= amount;
        flow[source]![to]! += amount;
      }
      load[start]! -= amount;
      room[start]! += amount;
      load[end]! += amount;
      room[end]! -= amount;
      graph.touch(path);
    }
  }
  return { flow, load, relieve };
}

function startOf(demand: number, costs: readonly number[], before: Float64Array | undefined): Float64Array {
  if (before !== undefined) return before.slice();
  const row = new Float64Array(costs.length);
  row[costs.indexOf(Math.min(...costs))] = demand;
  return row;
}

type Move = { readonly source: number; readonly from: number; readonly to: number };

/** Regions, and between each two the source that would move for the least. */
function createGraph(sources: readonly SpreadSource[], flow: readonly Float64Array[], width: number) {
  const price = new Float64Array(width * width);
  const mover = new Int32Array(width * width);
  const distance = new Float64Array(width);
  const cameBy = new Int32Array(width);
  for (let from = 0; from < width; from++) look(from);

  /** What it costs to leave a region, by where to. */
  function look(from: number): void {
    const start = from * width;
    price.fill(Number.POSITIVE_INFINITY, start, start + width);
    for (let source = 0; source < sources.length; source++) {
      const { demand, costs } = sources[source]!;
      if (flow[source]![from]! <= demand * TINY) continue;
      // From where a source may not stay, any place is better.
      const here = costs[from] === Number.POSITIVE_INFINITY ? 0 : costs[from]!;
      for (let to = 0; to < width; to++) {
        const difference = costs[to]! - here;
        if (to !== from && difference < price[start + to]!) {
          price[start + to] = difference;
          mover[start + to] = source;
        }
      }
    }
  }

  return {
    /**
     * The cheapest chain of moves from a region over its limit to one with room (Bellman and Ford: prices may be negative,
     * where a source comes back).
     */
    cheapest(room: Float64Array, tiny: number): Move[] | undefined {
      for (let region = 0; region < width; region++) {
        distance[region] = room[region]! < -tiny ? 0 : Number.POSITIVE_INFINITY;
        cameBy[region] = -1;
      }
      let isMoving = true;
      for (let round = 0; isMoving && round < width; round++) {
        isMoving = false;
        for (let from = 0; from < width; from++) {
          if (distance[from] === Number.POSITIVE_INFINITY) continue;
          for (let to = 0; to < width; to++) {
            const there = distance[from]! + price[from * width + to]!;
            // Not back to where it began: what is over anyway is no station.
            if (there >= distance[to]! - 1e-6 || room[to]! < -tiny) continue;
            distance[to] = there;
            cameBy[to] = from;
            isMoving = true;
          }
        }
      }
      let best = -1;
      for (let region = 0; region < width; region++) {
        if (room[region]! > tiny && distance[region]! < (best < 0 ? Number.POSITIVE_INFINITY : distance[best]!))
          best = region;
      }
      if (best < 0) return undefined;
      const path: Move[] = [];
      for (let to = best; cameBy[to]! >= 0 && path.length < width; to = cameBy[to]!) {
        const from = cameBy[to]!;
        path.unshift({ source: mover[from * width + to]!, from, to });
      }
      return path.length > 0 && room[path[0]!.from]! < -tiny ? path : undefined;
    },
    /** Some of a region's load may go to one that takes any. */
    mayLeave: (from: number, takes: (to: number) => boolean): boolean =>
      price.subarray(from * width, (from + 1) * width).some((ms, to) => ms < Number.POSITIVE_INFINITY && takes(to)),
    touch(path: readonly Move[]): void {
      for (const region of new Set(path.flatMap(({ from, to }) => [from, to]))) look(region);
    },
  };
}
