/**
 * Load that follows answers late: resolvers with caches (TTL 20 s to 300 s, one in eleven stretches it), Zipf load, and steps,
 * days and deaths. docs/load-steering.md has the table of these runs.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createLoadWorld, type LoadWorld } from "./load-bed.ts";

const LOW = 0.7;
const EU_MID = 3;

/** Means over 30 s: what a balancer feels, and not which cache asked first. */
function smoothed(world: LoadWorld, region: number, from: number): number[] {
  const means: number[] = [];
  for (let at = from; at < world.history.length; at++) {
    let sum = 0;
    for (let back = 0; back < 30; back++) sum += world.history[at - back]![region]!;
    means.push(sum / 30);
  }
  return means;
}
/** Farthest that any region lies from its own mean, from a second on. */
function swing(world: LoadWorld, from: number): number {
  return Math.max(
    ...world.regions.map((_, region) => {
      const means = smoothed(world, region, from);
      const mean = means.reduce((a, b) => a + b) / means.length;
      return Math.max(...means.map((each) => Math.abs(each - mean)));
    }),
  );
}
const peak = (world: LoadWorld, from: number, without?: number): number =>
  Math.max(...world.regions.map((_, region) => (region === without ? 0 : Math.max(...smoothed(world, region, from)))));

/** A world that has run long enough to know what an answer is worth. */
function settledWorld(ttlSeconds: number, seed: number, spread: "capacity" | "none", isBlind = false): LoadWorld {
  const world = createLoadWorld({ seed, ttlSeconds, spread, utilisation: 0.5, isBlind });
  world.run(Math.max(600, 4 * ttlSeconds));
  return world;
}
const report = process.env["RHUMB_SHOW_RUNS"] ? (line: string) => console.log(line) : () => {};
const percent = (share: number): string => `${Math.round(100 * share)} %`;

for (const ttlSeconds of [20, 60, 300]) {
  const drained = 3 * ttlSeconds + 120;

  test(`step: 70 % more around one region, TTL ${ttlSeconds} s: nobody over capacity, overshoot within 10 %`, () => {
    const world = settledWorld(ttlSeconds, ttlSeconds, "capacity");
    const hot = new Set(world.citiesOf(EU_MID));
    const start = world.history.length;
    world.setDemand((city) => (hot.has(city) ? 1.7 : 1));
    world.run(drained + 6 * ttlSeconds + 600);
    const after = peak(world, start + drained);
    const moved = swing(world, start + drained + 3 * ttlSeconds);
    // What clients are sent to must not be made too full on the way, which is what a controller that overshoots does.
    const others = peak(world, start, EU_MID);
    report(
      `| step | ${ttlSeconds} s | ${percent(peak(world, start))} | ${percent(others)} | ${percent(after)} | ±${percent(moved)} |`,
    );
    assert.ok(others <= LOW + 0.1, `${others}`);
    assert.ok(world.planner.view().isFeasible);
    assert.ok(after <= LOW + 0.1, `${after}`);
    assert.ok(moved <= 0.15, `${moved}`);
    assert.ok(Math.max(...world.history.slice(start + drained).flat()) < 1);
  });

  test(`death of a region, TTL ${ttlSeconds} s: its clients are spread, nobody is over capacity at any time`, () => {
    const world = settledWorld(ttlSeconds, ttlSeconds + 1, "capacity");
    const start = world.history.length;
    world.kill(EU_MID, 7);
    world.run(drained + 3 * ttlSeconds + 300);
    const worst = Math.max(...world.history.slice(start).flat());
    const after = peak(world, start + drained);
    report(
      `| death | ${ttlSeconds} s | | ${percent(peak(world, start, EU_MID))} | ${percent(after)} | ±${percent(swing(world, start + drained))} |`,
    );
    assert.ok(worst < 1, `${worst}`);
    assert.ok(after <= LOW + 0.1, `${after}`);
  });
}

test("days: demand that wanders around the world, two days of an hour, nobody over capacity", () => {
  const world = settledWorld(60, 7, "capacity");
  const start = world.history.length;
  // Cities lie in the order of their longitude, roughly: noon goes from east to west.
  world.setDemand((city, second) => 1 + 0.6 * Math.sin((2 * Math.PI * (second - start)) / 3_600 + city / 3));
  world.run(2 * 3_600);
  report(`| days | 60 s | ${percent(peak(world, start))} | | | |`);
  assert.ok(peak(world, start) < 1);
});

test("without a plan, what is under way counts: shed alone does not swing, and without the prediction it does", () => {
  const run = (isBlind: boolean): number => {
    const world = settledWorld(300, 1, "none", isBlind);
    const hot = new Set(world.citiesOf(EU_MID));
    const start = world.history.length;
    world.setDemand((city) => (hot.has(city) ? 1.7 : 1));
    world.run(4_800);
    const moved = swing(world, start + 2_400);
    report(`| shed alone${isBlind ? ", no prediction" : ""} | 300 s | | | | ±${percent(moved)} |`);
    return moved;
  };
  const seeing = run(false);
  const blind = run(true);
  assert.ok(seeing < 0.3, `${seeing}`);
  assert.ok(blind > 1.5 * seeing, `${blind}, with the prediction ${seeing}`);
});

test("a region whose balancers fall silent keeps its load for steering, and says so", () => {
  const world = settledWorld(20, 5, "none");
  const before = world.control.view().regions[0]!.effectivePermille;
  assert.ok(before > 500);
  world.setSilent(0, true);
  world.run(600);
  const { effectivePermille, frozenSinceMs } = world.control.view().regions[0]!;
  assert.ok(Math.abs(effectivePermille - before) < 30);
  assert.notEqual(frozenSinceMs, null);
  world.setSilent(0, false);
  world.run(10);
  assert.equal(world.control.view().regions[0]!.frozenSinceMs, null);
  assert.deepEqual(
    world.events.filter(({ subject }) => subject === "region/us-east").map(({ severity }) => severity),
    ["warning", "resolved"],
  );
});
