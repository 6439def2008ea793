/** Reports in, effective load out: what several balancers add up to, silence, steps, and what has been ordered. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createLoadControl, follow, stakesOf } from "#health/load-control.ts";
import { createDrain } from "#health/load-drain.ts";
import { createRegionReports } from "#health/load-reports.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { RegionReport } from "#state/reports.ts";
import { FIRST, HEALTHY, region, SHED, service } from "../steer/world.ts";

const report = (more: Partial<RegionReport> = {}): RegionReport => ({
  region: "us-east",
  node: "a",
  admittedRps: 100,
  queued: 0,
  shedRps: 0,
  inFlight: 0,
  capacityRps: null,
  healthyBackends: 2,
  backends: 2,
  isServing: true,
  says: "",
  listeners: [],
  ...more,
});

for (const { name, reports, configured, expected } of [
  {
    name: "adds up what balancers admit and turn away, and their capacities",
    reports: [report({ capacityRps: 200 }), report({ node: "b", shedRps: 50, capacityRps: 300 })],
    configured: 1_000,
    expected: { offeredRps: 250, capacityRps: 500, capacityFrom: "reports", isFull: true },
  },
  {
    name: "takes the configuration's capacity where a balancer does not say its own",
    reports: [report({ capacityRps: 200 }), report({ node: "b" })],
    configured: 1_000,
    expected: { offeredRps: 200, capacityRps: 1_000, capacityFrom: "regions.yaml", isFull: false },
  },
  {
    name: "knows no capacity where nobody says",
    reports: [report()],
    configured: undefined,
    expected: { offeredRps: 100, capacityRps: null, capacityFrom: "nobody", isFull: false },
  },
]) {
  test(`a region's reports: ${name}`, () => {
    const all = createRegionReports();
    for (const each of reports) all.take(each, 0);
    const { balancers, isSilent, ...read } = all.read(1_000, configured)!;
    assert.deepEqual(read, expected);
    assert.equal(isSilent, false);
    assert.equal(balancers.length, reports.length);
  });
}

test("a region's reports: a silent balancer counts with what it said last, until others have long spoken without it", () => {
  const all = createRegionReports();
  all.take(report(), 0);
  all.take(report({ node: "b" }), 0);
  all.take(report({ node: "b" }), 60_000);
  assert.equal(all.read(60_000, 1_000)!.offeredRps, 200);
  assert.deepEqual(
    all.read(60_000, 1_000)!.balancers.map(({ isSilent }) => isSilent),
    [true, false],
  );
  assert.equal(all.read(70_000, 1_000)!.isSilent, true);
  assert.equal(all.read(700_000, 1_000)!.offeredRps, 200, "nobody is forgotten while all are silent");
  all.take(report({ node: "b" }), 700_000);
  assert.equal(all.read(700_000, 1_000)!.offeredRps, 100);
});

for (const { name, args, expected } of [
  { name: "follows at once where nobody sheds", args: [300, 650, 700, 5], expected: 650 },
  { name: "stops at the mark on its way up", args: [300, 900, 700, 5], expected: 702 },
  { name: "takes small steps above it", args: [750, 850, 700, 5], expected: 751 },
  { name: "takes smaller ones down", args: [850, 750, 700, 5], expected: 849.7 },
  { name: "takes the smaller steps the later they are seen", args: [750, 850, 700, 50], expected: 750.1 },
  { name: "stays within the dead band", args: [750, 760, 700, 5], expected: 750 },
  { name: "never takes a large one", args: [700, 65_000, 700, 5], expected: 760 },
] as const) {
  test(`follow() ${name}`, () => {
    const [effective, predicted, low, delay] = args;
    assert.ok(Math.abs(follow(effective, predicted, low, delay) - expected) < 1e-9);
  });
}

test("stakesOf() takes the longest TTL and the lowest mark of the services that shed", () => {
  const shedding = service([HEALTHY, SHED, FIRST], { ttlMaxSeconds: 60 });
  const other = service([HEALTHY, FIRST], { ttlMaxSeconds: 300 });
  assert.deepEqual(stakesOf([shedding, other]), { ttlSeconds: 60, low: 700 });
  assert.deepEqual(stakesOf([other]), { ttlSeconds: 300, low: 1_000 });
});

test("createDrain() orders what answers say and clients have not done yet, and it drains with the TTL", () => {
  const drain = createDrain(2, 10);
  for (let second = 0; second < 100; second++) drain.note([80, 20], [0.8, 0.2], [0.8, 0.2]);
  assert.ok(Math.abs(drain.ordered(0)) < 1e-9);
  drain.note([50, 50], [0.5, 0.5], [0.8, 0.2]);
  const first = drain.ordered(0);
  assert.ok(first < -0.25 && first > -0.3, `${first}`);
  let before = first;
  for (let second = 0; second < 12; second++) {
    drain.note([50, 50], [0.5, 0.5], undefined);
    assert.ok(drain.ordered(0) >= before);
    before = drain.ordered(0);
  }
  assert.ok(drain.ordered(0) > -0.03, "those who stretch TTLs are left");
});

test("createDrain() learns that caches keep answers for twice as long as they should", () => {
  const drain = createDrain(2, 20);
  const given: number[] = [];
  for (let second = 0; second < 2_000; second++) {
    const share = second % 200 < 100 ? 0.8 : 0.3;
    given.push(share);
    const held = given.slice(-40).reduce((sum, each) => sum + each, 0) / Math.min(40, given.length);
    drain.note([100 * share, 100 * (1 - share)], [share, 1 - share], [held, 1 - held]);
  }
  assert.equal(drain.curve().ttlSeconds, 40);
});

function bed(more: { answers?: () => ReadonlyMap<string, number> } = {}) {
  const clock = createManualClock();
  const events: RhumbEvent[] = [];
  const loads: number[] = [];
  const control = createLoadControl({
    clock,
    emit: (event) => events.push(event),
    setLoad: (_target, permille) => loads.push(permille),
    answers: more.answers ?? (() => new Map()),
  });
  control.apply(
    [region("us-east", 0, { capacityRps: 1_000 })],
    [service([HEALTHY, SHED, FIRST], { all: [region("us-east", 0)] })],
  );
  const run = (seconds: number, rps: number | undefined): void => {
    for (let second = 0; second < seconds; second++) {
      if (rps !== undefined) control.takeReport(report({ admittedRps: rps }));
      clock.advance(1_000);
    }
  };
  return { control, events, loads, run };
}

test("createLoadControl() freezes a silent region's load, says so once, and never takes silence for no load", () => {
  const { control, events, loads, run } = bed();
  run(60, 850);
  const last = loads.at(-1)!;
  assert.ok(last >= 700);
  run(300, undefined);
  assert.equal(loads.at(-1), last);
  assert.notEqual(control.view().regions[0]!.frozenSinceMs, null);
  run(3, 850);
  assert.deepEqual(
    events.map(({ kind, severity }) => `${kind} ${severity}`),
    ["region.load warning", "region.load resolved"],
  );
  control.close();
});

test("createLoadControl() tells when clients want more than the capacity", () => {
  const { events, run, control } = bed();
  run(5, 1_200);
  run(5, 980);
  run(5, 900);
  assert.deepEqual(
    events.map(({ subject, severity }) => `${subject} ${severity}`),
    ["region/us-east/capacity warning", "region/us-east/capacity resolved"],
  );
  control.close();
});
