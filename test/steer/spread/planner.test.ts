/** The planner with the real chain: preferences, rows for now and for each loss, and when there is no plan. */
import assert from "node:assert/strict";
import test from "node:test";
import { VERDICT } from "#state/health-table.ts";
import type { FilterSpec, RegionSpec } from "#state/snapshot.ts";
import { copySpread, createSpreadDoor, NO_LOSS, publishSpread, type SpreadCopy } from "#state/spread.ts";
import { runChain } from "#steer/chain.ts";
import { lostRegions } from "#steer/spread/moves.ts";
import { createSpreadPlanner, type RegionLoad } from "#steer/spread/planner.ts";
import { preferencesOf } from "#steer/spread/preferences.ts";
import { mapFor } from "../maps.ts";
import {
  bound,
  FIRST,
  fence,
  GEO,
  HEALTHY,
  type Health,
  healthTable,
  NEAREST,
  PRIORITY,
  REGIONS,
  rollsOf,
  STICKY,
  service,
  WEIGHTED,
  world,
} from "../world.ts";

const SPREAD: FilterSpec = { name: "shed", lowPermille: 700, highPermille: 900, spread: "capacity", onEmpty: "undo" };
const FACTS = { km: { "us-east": 6_500, "eu-west": 300, "ap-south": 9_000 }, match: { "eu-west": 1 } };
const [US, EU, AP] = [0, 1, 2];

for (const { name, chain, facts, health, expected } of [
  { name: "nearest: by distance", chain: [HEALTHY, NEAREST, FIRST], expected: ["1: eu-west us-east ap-south"] },
  {
    name: "geo: its own first, then any",
    chain: [HEALTHY, GEO, NEAREST, FIRST],
    expected: ["1: eu-west us-east ap-south"],
  },
  { name: "priority: tier by tier", chain: [HEALTHY, PRIORITY, FIRST], expected: ["1: us-east eu-west ap-south"] },
  {
    name: "a fence: nowhere outside of it",
    chain: [HEALTHY, fence(["eu-west", "ap-south"]), NEAREST, FIRST],
    facts: { ...FACTS, insideFence: [true] },
    expected: ["1: eu-west ap-south"],
  },
  {
    name: "what is down is no choice",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "us-east": { verdict: VERDICT.down } },
    expected: ["1: eu-west ap-south"],
  },
] as { name: string; chain: FilterSpec[]; facts?: typeof FACTS; health?: Health; expected: string[] }[]) {
  test(`preferencesOf() follows the chain: ${name}`, () => {
    const found = preferencesOf(
      bound(service(chain)),
      world(bound(service(chain)), { facts: facts ?? FACTS, health: health ?? {} }),
    );
    assert.deepEqual(
      found.map(({ share, choices }) => `${share}: ${choices.map(({ candidate }) => candidate.region.id).join(" ")}`),
      expected,
    );
    for (const { choices } of found) {
      assert.equal(choices[0]!.cost, 0);
      for (const [index, { cost }] of choices.entries()) assert.ok(index === 0 || cost > choices[index - 1]!.cost);
    }
  });
}

test("preferencesOf() knows the shares of first choices that hashes make", () => {
  const members = { "us-east": { weight: 3 }, "eu-west": { weight: 1 } };
  for (const filter of [WEIGHTED, STICKY]) {
    const of = bound(service([HEALTHY, filter, FIRST], { members }));
    const shares = preferencesOf(of, world(of)).map(({ natural, share }) => [natural.region.id, share] as const);
    const share = Object.fromEntries(shares)["us-east"]!;
    assert.ok(Math.abs(share - 0.75) < 0.1, `${filter.name}: ${share}`);
  }
});

const CAPACITY: RegionLoad = { offeredRps: 0, capacityRps: 1_000 };

/** Clients of the three places of the demo; all of them ask ten times a second, and each answer is worth `worth`. */
function plannedWorld(options: {
  worth: readonly number[];
  loads?: readonly (RegionLoad | undefined)[];
  health?: Health;
  regions?: readonly RegionSpec[];
}) {
  const regions = REGIONS;
  const spec = service([HEALTHY, SPREAD, NEAREST, FIRST], { all: regions });
  const map = mapFor(spec, regions);
  const of = bound(spec, regions);
  const natural = (classNumber: number): number =>
    runChain(of, { ...world(of), facts: map.classes[classNumber]! }, rollsOf()).kept[0]!.regionNumber;
  // One class for each of the three regions.
  const classes = [US, EU, AP].map((wanted) =>
    map.classes.findIndex((facts, number) => facts.isKnown && natural(number) === wanted),
  );
  const planner = createSpreadPlanner();
  const door = createSpreadDoor();
  const step = (health: Health, seconds: number): SpreadCopy => {
    const loads = regions.map((_, region) => ({
      ...(options.loads?.[region] ?? CAPACITY),
      offeredRps: (50 * options.worth[region]!) / 5,
    }));
    const plan = planner.step({
      world: { services: [spec], regions, maps: [map] },
      healthTable: healthTable(health, regions),
      answers:
        seconds === 0 ? [] : classes.map((number, region) => ({ service: 0, class: number, region, answers: 50 })),
      loads: options.loads
        ? loads.map((load, region) =>
            options.loads![region] ? load : { offeredRps: undefined, capacityRps: undefined },
          )
        : loads,
      seconds,
      ttlSeconds: 30,
      stretching: 0.09,
    });
    publishSpread(door, plan);
    return copySpread(door);
  };
  return {
    planner,
    classes,
    of,
    step,
    settle: (): SpreadCopy => {
      let copy = step({}, 5);
      for (let n = 0; n < 60; n++) copy = step({}, 5);
      return copy;
    },
  };
}
const shareOf = (copy: SpreadCopy, classNumber: number, lost: number, natural: number): Record<number, number> => {
  const { regions, ends } = copy.moves(0, classNumber, lost).get(natural) ?? { regions: [natural], ends: [4_096] };
  return Object.fromEntries(regions.map((region, index) => [region, (ends[index]! - (ends[index - 1] ?? 0)) / 4_096]));
};

test("createSpreadPlanner() has no plan before caches have been filled under its eyes, and says so", () => {
  const { planner, step } = plannedWorld({ worth: [30, 30, 30] });
  assert.equal(step({}, 5).version(0), 0);
  assert.match(planner.view().says, /learning/);
});

test("createSpreadPlanner() leaves everybody where they are while all regions have room", () => {
  const { planner, classes, settle } = plannedWorld({ worth: [30, 40, 50] });
  const copy = settle();
  assert.notEqual(copy.version(0), 0);
  for (const number of classes) assert.equal(copy.moves(0, number, NO_LOSS).size, 0);
  assert.equal(planner.view().movedRps, 0);
});

test("createSpreadPlanner() moves of a full region what is over the mark, to those who are nearest", () => {
  const { planner, classes, settle } = plannedWorld({ worth: [30, 95, 20] });
  const shares = shareOf(settle(), classes[EU]!, NO_LOSS, EU);
  // 950 are wanted of the region, and 700 may be.
  assert.ok(Math.abs(shares[EU]! - 700 / 950) < 0.03, JSON.stringify(shares));
  assert.ok(Math.abs(shares[US]! - 250 / 950) < 0.03, JSON.stringify(shares));
  assert.ok(planner.view().isFeasible);
});

test("createSpreadPlanner() has a plan for the loss of each region, spread by capacity, before it is lost", () => {
  const { planner, classes, settle } = plannedWorld({ worth: [60, 60, 30] });
  const shares = shareOf(settle(), classes[EU]!, EU, US);
  // 600 of the lost region: its next choice has room for 100 below the mark, the other one for 400, and 100 are left:
  // both are then filled to 75 %.
  assert.ok(Math.abs(planner.view().regions[EU]!.levelWithout! - 0.76) < 0.03);
  assert.ok(Math.abs(shares[US]! - 150 / 600) < 0.05, JSON.stringify(shares));
  assert.ok(Math.abs(shares[AP]! - 450 / 600) < 0.05, JSON.stringify(shares));
});

test("createSpreadPlanner() plans anew at once when a region has gone, without what was planned for the loss", () => {
  const { classes, of, step, settle } = plannedWorld({ worth: [60, 60, 30] });
  const before = settle();
  const health = { "eu-west": { verdict: VERDICT.down } } as const;
  const lost = lostRegions(before, of, world(of, { health }).states);
  assert.deepEqual(lost, [EU]);
  const after = step(health, 0);
  assert.deepEqual(lostRegions(after, of, world(of, { health }).states), []);
  const ahead = shareOf(before, classes[EU]!, EU, US);
  const now = shareOf(after, classes[EU]!, NO_LOSS, US);
  assert.ok(Math.abs(ahead[AP]! - now[AP]!) < 0.05, `${JSON.stringify(ahead)} ${JSON.stringify(now)}`);
});

test("createSpreadPlanner() gives nobody to a region whose capacity nobody knows", () => {
  const { classes, settle } = plannedWorld({ worth: [30, 95, 20], loads: [undefined, CAPACITY, CAPACITY] });
  const shares = shareOf(settle(), classes[EU]!, NO_LOSS, EU);
  assert.equal(shares[US], undefined);
  assert.ok(shares[AP]! > 0.2);
});

test("createSpreadPlanner() says when there is more demand than capacity, and spreads it by capacity", () => {
  const { planner, settle } = plannedWorld({ worth: [130, 120, 110] });
  settle();
  const { isFeasible, level, regions } = planner.view();
  assert.equal(isFeasible, false);
  assert.ok(level > 1.15);
  for (const { plannedRps } of regions) assert.ok(Math.abs(plannedRps - 1_200) < 60, `${plannedRps}`);
});
