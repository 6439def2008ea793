/** Sums over workers that come and go: totals never shrink, shares are those of the last minute. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { createSteeringShares } from "#app/steering-shares.ts";
import { createManualClock } from "#base/clock.ts";
import { hashText } from "#base/hash.ts";
import type { ClientMap } from "#state/client-map.ts";
import { createObservations, type Observations } from "#state/observations.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import { createHitWriter, type HitNumbering, NO_REGION } from "#state/steering-hits.ts";

const region = (id: string) => ({ id, hash: hashText(id) }) as RegionSpec;
const service = (name: string) => ({ name, hash: hashText(name), mapId: "m" }) as ServiceSpec;
const WORLD: HitNumbering = {
  services: [service("www"), service("app")],
  regions: [region("us"), region("eu")],
  maps: [{ mapId: "m", generation: 1, classes: [{ label: "unknown" }, { label: "EU/DE" }] } as unknown as ClientMap],
};

function setUp(context: TestContext) {
  const clock = createManualClock();
  const workers: Observations[] = [createObservations(), createObservations()];
  const shares = createSteeringShares({ clock, workers: () => workers });
  context.after(() => shares.close());
  shares.apply(WORLD.services, WORLD.regions);
  const count = workers.map(({ hits }) => createHitWriter(hits)(WORLD, clock.nowMs()));
  const totals = () =>
    Object.fromEntries(shares.totals().map(({ service, region, answers }) => [`${service} ${region}`, answers]));
  return { clock, workers, shares, count, totals };
}

test("createSteeringShares() sums workers; those that are gone stay in the totals, and count until the end", (context) => {
  const { clock, workers, count, totals } = setUp(context);
  count[0]!(0, 1, 0);
  count[1]!(0, 1, 0);
  count[1]!(0, 1, NO_REGION);
  assert.deepEqual(totals(), { "www us": 2, "www ": 1 });
  workers.pop();
  count[1]!(0, 1, 0); // it still drains
  assert.deepEqual(totals(), { "www us": 3, "www ": 1 });
  clock.advance(200_000);
  assert.deepEqual(totals(), { "www us": 3, "www ": 1 });
  workers.push(createObservations());
  createHitWriter(workers[1]!.hits)(WORLD, 0)(0, 1, 0);
  assert.deepEqual(totals(), { "www us": 4, "www ": 1 });
});

test("createSteeringShares() keeps the totals of services that a reload drops or renumbers", (context) => {
  const { workers, shares, count, totals } = setUp(context);
  count[0]!(0, 1, 0);
  count[0]!(1, 1, 1);
  const after = { ...WORLD, services: [service("app"), service("new")] };
  shares.apply(after.services, after.regions);
  const next = createHitWriter(workers[0]!.hits)(after, 0);
  next(0, 1, 1);
  next(1, 1, 0);
  assert.deepEqual(totals(), { "www us": 1, "app eu": 2, "new us": 1 });
});

test("createSteeringShares() gives shares of the last minute, null where nothing was answered", (context) => {
  const { clock, shares, count } = setUp(context);
  assert.equal(shares.shares().ofRegion("us"), null);
  for (let time = 0; time < 8; time++) count[0]!(0, 1, 0);
  clock.advance(70_000);
  assert.equal(shares.shares().ofService("www", "us"), null, "that was more than a minute ago");
  count[0]!(0, 1, 0);
  for (let time = 0; time < 3; time++) count[1]!(0, 1, 1);
  for (let time = 0; time < 4; time++) count[1]!(1, 0, 1);
  count[1]!(1, 0, NO_REGION);
  const now = shares.shares();
  assert.deepEqual([now.ofService("www", "us"), now.ofService("www", "eu")], [25, 75]);
  assert.deepEqual([now.ofService("app", "us"), now.ofService("app", "eu")], [0, 100]);
  assert.deepEqual([now.ofRegion("us"), now.ofRegion("eu")], [12.5, 87.5]);
  clock.advance(30_000);
  assert.equal(shares.shares().ofService("www", "us"), 25, "still within the minute");
});

test("createSteeringShares() names the busiest classes of a service and the regions that they get", (context) => {
  const { shares, count } = setUp(context);
  assert.equal(shares.classes(WORLD, "nothing", 5), undefined);
  const none = { service: "www", answers: 0, classes: [] };
  const { sinceMs, ...empty } = shares.classes(WORLD, "www", 5)!;
  assert.deepEqual([sinceMs, empty], [1_800_000_000_000, none]);
  for (let time = 0; time < 3; time++) count[0]!(0, 1, 1);
  count[1]!(0, 1, 0);
  count[1]!(0, 0, 0);
  count[1]!(1, 1, 0);
  const found = shares.classes(WORLD, "www", 1)!;
  const regions = [
    { id: "eu", answers: 3 },
    { id: "us", answers: 1 },
  ];
  assert.equal(found.answers, 5);
  assert.deepEqual(found.classes, [{ class: 1, label: "EU/DE", answers: 4, sharePercent: 80, regions }]);
  const moved = { ...WORLD, regions: [region("eu"), region("us")] };
  const unknown = shares.classes(moved, "www", 5)!;
  assert.deepEqual([unknown.sinceMs, unknown.classes], [null, []], "no worker serves this yet");
});
