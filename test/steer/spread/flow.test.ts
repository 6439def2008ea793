/** The solver: against brute force on small cases, and by what must hold on large ones. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createSeededRng } from "#base/rng.ts";
import { type SpreadRegion, type SpreadSource, spread } from "#steer/spread/flow.ts";

const region = (capacity: number | undefined, fixed = 0): SpreadRegion => ({ capacity, fixed });
const INFINITE = Number.POSITIVE_INFINITY;
const rounded = (load: Float64Array): number[] => [...load].map((each) => Math.round(each * 100) / 100);

for (const { name, sources, regions, loads, reached = 0.7 } of [
  {
    name: "leaves everybody at the best region while there is room",
    sources: [{ demand: 50, costs: [0, 10] }],
    regions: [region(100), region(100)],
    loads: [50, 0],
  },
  {
    name: "moves what is over to the next",
    sources: [{ demand: 90, costs: [0, 10] }],
    regions: [region(100), region(100)],
    loads: [70, 20],
  },
  {
    name: "moves those whom it costs least",
    sources: [
      { demand: 50, costs: [0, 30, 90] },
      { demand: 50, costs: [0, 90, 20] },
    ],
    regions: [region(100), region(100), region(100)],
    loads: [70, 0, 30],
  },
  {
    name: "moves somebody else on, where that is cheaper",
    sources: [
      { demand: 100, costs: [0, 5, 200] },
      { demand: 60, costs: [50, 0, 10] },
    ],
    regions: [region(100), region(100), region(100)],
    loads: [70, 70, 20],
  },
  {
    name: "raises the level for all when there is no room below it, so that the rest is spread by capacity",
    sources: [{ demand: 240, costs: [0, 10, 20] }],
    regions: [region(100), region(100), region(100)],
    loads: [80, 80, 80],
    reached: 0.8,
  },
  {
    name: "goes over capacity only where nothing else is left, and evenly",
    sources: [{ demand: 220, costs: [0, 10] }],
    regions: [region(50), region(150)],
    loads: [55, 165],
    reached: 1.1,
  },
  {
    name: "empties a region that is lost",
    sources: [{ demand: 60, costs: [INFINITE, 10, 20] }],
    regions: [region(0), region(50), region(100)],
    loads: [0, 35, 25],
  },
  {
    name: "leaves those over who may go nowhere else, and moves the others for them",
    sources: [
      { demand: 80, costs: [0, INFINITE] },
      { demand: 20, costs: [0, 10] },
    ],
    regions: [region(100), region(100)],
    loads: [80, 20],
  },
  {
    name: "neither gives nor takes where nobody knows the capacity",
    sources: [
      { demand: 500, costs: [0, 10, 20] },
      { demand: 90, costs: [5, 0, 20] },
    ],
    regions: [region(undefined), region(100), region(100)],
    loads: [500, 70, 20],
  },
  {
    name: "counts load that cannot be moved",
    sources: [{ demand: 30, costs: [0, 10] }],
    regions: [region(100, 60), region(100)],
    loads: [70, 20],
  },
]) {
  test(`spread() ${name}`, () => {
    const result = spread(sources, regions, 0.7);
    assert.deepEqual(rounded(result.load), loads);
    assert.ok(Math.abs(result.level - reached) < 1e-9, `level ${result.level}`);
  });
}

/** The cheapest way to spread three sources in whole steps over three regions, or undefined. */
function bruteForce(sources: readonly SpreadSource[], regions: readonly SpreadRegion[], level: number) {
  let best: number | undefined;
  const room = regions.map(({ capacity }) => level * capacity!);
  const place = (source: number, cost: number): void => {
    if (best !== undefined && cost >= best) return;
    if (source === sources.length) {
      best = cost;
      return;
    }
    const { demand, costs } = sources[source]!;
    for (let a = 0; a <= demand; a++) {
      for (let b = 0; a + b <= demand; b++) {
        const parts = [a, b, demand - a - b];
        if (parts.some((part, index) => part > room[index]! + 1e-9)) continue;
        for (const [index, part] of parts.entries()) room[index]! -= part;
        place(source + 1, cost + parts.reduce((sum, part, index) => sum + (part && part * costs[index]!), 0));
        for (const [index, part] of parts.entries()) room[index]! += part;
      }
    }
  };
  place(0, 0);
  return best;
}
const costOf = (sources: readonly SpreadSource[], flow: readonly Float64Array[]): number =>
  flow.reduce(
    (sum, row, source) =>
      sum + row.reduce((part, amount, index) => part + (amount && amount * sources[source]!.costs[index]!), 0),
    0,
  );

test("spread() costs no more than the best of all ways (property)", () => {
  const source = fc.record({
    demand: fc.nat(6),
    costs: fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20)).map((costs) => costs as number[]),
  });
  fc.assert(
    fc.property(
      fc.array(source, { minLength: 3, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 3, maxLength: 3 }),
      (sources, capacities) => {
        const regions = capacities.map((capacity) => region(capacity));
        const best = bruteForce(sources, regions, 1);
        const found = spread(sources, regions, 1);
        if (best === undefined) assert.ok(found.level > 1);
        else {
          assert.equal(found.level, 1);
          assert.ok(Math.abs(costOf(sources, found.flow) - best) < 1e-6, `${costOf(sources, found.flow)}, not ${best}`);
        }
      },
    ),
    { numRuns: 300, seed: 3 },
  );
});

test("spread() keeps demand whole and regions below their limits, 500 classes over 50 regions", () => {
  const rng = createSeededRng(5);
  const places = Array.from({ length: 50 }, () => [rng(), rng()] as const);
  const sources = Array.from({ length: 500 }, (_, index) => {
    const here = [rng(), rng()] as const;
    return {
      demand: 1_000 / (1 + (index % 100)),
      costs: places.map(([x, y]) => 200 * Math.hypot(x - here[0], y - here[1])),
    };
  });
  const total = sources.reduce((sum, { demand }) => sum + demand, 0);
  const regions = places.map(() => region((total / 50) * 1.7));
  const base = spread(sources, regions, 0.7);
  assert.equal(base.level, 0.7);
  for (const [index, row] of base.flow.entries()) {
    const sum = row.reduce((all, each) => all + each, 0);
    assert.ok(Math.abs(sum - sources[index]!.demand) < 1e-6);
    assert.ok(row.every((each) => each >= 0));
  }
  for (const [index, load] of base.load.entries()) assert.ok(load <= regions[index]!.capacity! * 0.7 + 1e-3);
  for (let lost = 0; lost < 50; lost++) {
    const without = sources.map(({ demand, costs }) => ({
      demand,
      costs: costs.map((cost, index) => (index === lost ? INFINITE : cost)),
    }));
    const after = spread(
      without,
      regions.map((each, index) => (index === lost ? region(0) : each)),
      0.7,
      base,
    );
    assert.equal(Math.round(after.load[lost]! * 1e6), 0);
    for (const [index, load] of after.load.entries())
      if (index !== lost) assert.ok(load <= regions[index]!.capacity! * after.level + 1e-3);
  }
});
