import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createOutlier, type Outlier, type OutlierSample } from "#pool/outlier.ts";
import { aboveFailurePercentage, belowMean } from "#pool/outlier-rates.ts";
import type { OutlierSpec } from "#state/balancer.ts";
import { OUTLIER_DEFAULTS } from "./specs.ts";

const range = (count: number): number[] => [...Array(count).keys()];
const NONE = { successes: 0, failures: 0 };
/** A sample of L4: so many local failures in a row. */
const local = (row: number, tally = NONE): OutlierSample => ({
  inARow: { fiveXx: 0, gateway: 0, local: row },
  responses: NONE,
  local: tally,
});
const responses = (successes: number, failures: number): OutlierSample => ({
  inARow: { fiveXx: 0, gateway: 0, local: 0 },
  responses: { successes, failures },
  local: NONE,
});
function made(members: number, over: Partial<OutlierSpec> = {}, rng = createSeededRng(1)): Outlier {
  const outlier = createOutlier(rng);
  outlier.apply({ ...OUTLIER_DEFAULTS, ...over }, range(members), 0);
  return outlier;
}
const ejectedOf = (outlier: Outlier, members: number): number[] =>
  range(members).filter((id) => outlier.ejection(id) !== undefined);

test("a backend is ejected at the fifth failure in a row, not before, and returns when its time is over", () => {
  const outlier = made(10);
  assert.equal(outlier.observe(3, local(4), 1_000), false);
  assert.equal(outlier.observe(3, local(5), 1_250), true);
  assert.deepEqual(outlier.ejection(3), { reason: "consecutive-5xx", sinceMs: 1_250, untilMs: 31_250, times: 1 });
  assert.deepEqual(outlier.tick(31_000), []);
  assert.deepEqual(outlier.tick(31_250), [3]);
  assert.equal(outlier.ejection(3), undefined);
});

test("the failures of a row that was acted upon are spent: it takes as many again", () => {
  const outlier = made(10);
  outlier.observe(3, local(5), 0);
  outlier.observe(3, local(7), 250); // what was under way
  outlier.tick(30_000);
  assert.equal(outlier.observe(3, local(7), 30_000), false);
  assert.equal(outlier.observe(3, local(11), 30_250), false);
  assert.equal(outlier.observe(3, local(12), 30_500), true);
  outlier.tick(200_000);
  assert.equal(outlier.observe(3, local(0), 200_000), false); // a success
  assert.equal(outlier.observe(3, local(5), 200_250), true);
});

for (const [name, inARow, over, reason] of [
  ["5xx", { fiveXx: 5, gateway: 0, local: 0 }, {}, "consecutive-5xx"],
  ["5xx and local failures together", { fiveXx: 2, gateway: 0, local: 3 }, {}, "consecutive-5xx"],
  ["gateway failures, not enforced by default", { fiveXx: 4, gateway: 4, local: 0 }, {}, undefined],
  [
    "gateway failures, enforced",
    { fiveXx: 3, gateway: 3, local: 0 },
    { consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 },
    "consecutive-gateway-failure",
  ],
  [
    "local failures, split",
    { fiveXx: 0, gateway: 0, local: 5 },
    { splitExternalLocalOriginErrors: true },
    "consecutive-local-origin-failure",
  ],
  [
    "5xx and local failures, split",
    { fiveXx: 2, gateway: 2, local: 3 },
    { splitExternalLocalOriginErrors: true },
    undefined,
  ],
  ["5xx with a threshold of 0, which is off", { fiveXx: 99, gateway: 0, local: 0 }, { consecutive5xx: 0 }, undefined],
  ["5xx that are never enforced", { fiveXx: 99, gateway: 0, local: 0 }, { enforcingConsecutive5xx: 0 }, undefined],
  ["5xx while switched off", { fiveXx: 99, gateway: 0, local: 0 }, { isEnabled: false }, undefined],
] as const) {
  test(`failures in a row eject by ${name}: ${reason ?? "no"}`, () => {
    const outlier = made(10, over);
    outlier.observe(0, { inARow, responses: NONE, local: NONE }, 0);
    assert.equal(outlier.ejection(0)?.reason, reason);
  });
}

test("of two backends one is ejected, though that is more than max_ejection_percent; the second never with it", () => {
  const outlier = made(2);
  assert.equal(outlier.observe(0, local(5), 0), true);
  assert.equal(outlier.observe(1, local(5), 0), false);
  assert.equal(outlier.stats().overflows, 1);
  outlier.tick(30_000);
  assert.equal(outlier.observe(1, local(10), 30_000), true); // its turn, as the other is back
  assert.deepEqual(ejectedOf(outlier, 2), [1]);
});

for (const [members, percent, expected] of [
  [1, 10, 1],
  [10, 10, 1],
  [20, 10, 2],
  [19, 10, 1],
  [4, 50, 2],
  [5, 0, 1],
  [3, 100, 3],
] as const) {
  test(`of ${members} backends that all fail, ${percent} % lets ${expected} be ejected`, () => {
    const outlier = made(members, { maxEjectionPercent: percent });
    for (const id of range(members)) outlier.observe(id, local(5), 0);
    assert.equal(ejectedOf(outlier, members).length, expected);
  });
}

test("a backend that flaps stays out longer each time, up to the cap", () => {
  const outlier = made(10);
  const lasted: number[] = [];
  let nowMs = 0;
  for (let round = 1; round <= 14; round++) {
    outlier.observe(0, local(0), nowMs);
    assert.ok(outlier.observe(0, local(5), nowMs));
    const { untilMs, times } = outlier.ejection(0)!;
    assert.equal(times, Math.min(round, 10)); // what no longer makes it longer need not decay either
    lasted.push((untilMs - nowMs) / 1_000);
    nowMs = untilMs;
    assert.deepEqual(outlier.tick(nowMs), [0]);
  }
  assert.deepEqual(lasted, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300, 300, 300]);
});

test("each interval in service makes the next ejection shorter by one base time", () => {
  const outlier = made(10);
  let nowMs = 0;
  const fail = (): number => {
    outlier.observe(0, local(0), nowMs);
    outlier.observe(0, local(5), nowMs);
    const { untilMs, times } = outlier.ejection(0)!;
    outlier.tick(untilMs - 4_000); // an interval ends
    nowMs = untilMs;
    outlier.tick(nowMs);
    return times;
  };
  assert.deepEqual([fail(), fail(), fail()], [1, 2, 3]);
  // The interval in which it returned counts for nothing; two more count.
  for (let step = 0; step < 120; step++) {
    nowMs += 250;
    outlier.tick(nowMs);
  }
  assert.equal(fail(), 2);
});

test("jitter comes on top of the time, and the cap is never below the base time", () => {
  const outlier = made(10, { maxEjectionJitterMs: 10_000, maxEjectionMs: 1_000 }, () => 0.5);
  outlier.observe(0, local(5), 0);
  assert.equal(outlier.ejection(0)!.untilMs, 35_000);
});

test("enforcing is a share: of rows that reach the threshold, 30 percent eject", () => {
  const rng = createSeededRng(11);
  let ejected = 0;
  for (let round = 0; round < 4_000; round++) {
    const outlier = createOutlier(rng);
    outlier.apply({ ...OUTLIER_DEFAULTS, enforcingConsecutive5xx: 30 }, [0, 1], 0);
    if (outlier.observe(0, local(5), 0)) ejected++;
    assert.equal(outlier.observe(0, local(9), 0), false); // the dice were cast; four more are not enough
  }
  assert.ok(Math.abs(ejected / 4_000 - 0.3) < 0.03, `${ejected}`);
});

test("a check that passes ends an ejection, unless told not to", () => {
  for (const isOn of [true, false]) {
    const outlier = made(10, { successfulActiveHealthCheckUnejectHost: isOn });
    assert.equal(outlier.checkPassed(0, 0), false);
    outlier.observe(0, local(5), 0);
    assert.equal(outlier.checkPassed(0, 1_000), isOn);
    assert.equal(outlier.ejection(0) === undefined, isOn);
  }
});

test("one slow or failing backend among nine is ejected by its success rate, at the end of the interval", () => {
  const outlier = made(10);
  for (const id of range(10)) outlier.observe(id, responses(id === 4 ? 60 : 99, id === 4 ? 40 : 1), 5_000);
  assert.deepEqual(outlier.tick(9_999), []);
  assert.deepEqual(outlier.tick(10_000), [4]);
  assert.equal(outlier.ejection(4)!.reason, "success-rate");
  // The tallies are of one interval.
  outlier.tick(20_000);
  outlier.tick(40_000);
  assert.deepEqual(ejectedOf(outlier, 10), []);
});

test("the volume that rates need is of one interval", () => {
  const outlier = made(10);
  for (let nowMs = 10_000; nowMs <= 60_000; nowMs += 10_000) {
    for (const id of range(10)) outlier.observe(id, responses(id === 4 ? 0 : 60, id === 4 ? 60 : 0), nowMs - 1_000);
    assert.deepEqual(outlier.tick(nowMs), []);
  }
});

test("L4 connections count towards the success rate, apart where that is configured", () => {
  for (const [isSplit, reason] of [
    [false, "success-rate"],
    [true, "local-origin-success-rate"],
  ] as const) {
    const outlier = made(10, { splitExternalLocalOriginErrors: isSplit });
    for (const id of range(10)) {
      const tally = { successes: id === 0 ? 50 : 100, failures: id === 0 ? 50 : 0 };
      outlier.observe(id, local(0, tally), 0);
    }
    assert.deepEqual(outlier.tick(10_000), [0]);
    assert.equal(outlier.ejection(0)!.reason, reason);
  }
});

test("failure percentage ejects where it is enforced, also in a pool that fails as a whole", () => {
  const outlier = made(10, { enforcingFailurePercentage: 100, maxEjectionPercent: 50 });
  for (const id of range(10)) outlier.observe(id, responses(5, 95), 0);
  assert.equal(outlier.tick(10_000).length, 5);
  assert.equal(outlier.ejection(0)!.reason, "failure-percentage");
  assert.ok(outlier.stats().overflows > 0);
});

const tally = (successes: number, failures: number) => ({ successes, failures });
const GOOD = Array.from({ length: 9 }, () => tally(100, 0));
const ofRate = { stdevFactor: 1_900, minHosts: 5, minVolume: 100 };
for (const [name, tallies, over, expected] of [
  ["finds the one that stands out", [...GOOD, tally(50, 50)], {}, [9]],
  ["finds nobody where all are alike", GOOD, {}, []],
  ["finds nobody where all are equally bad", GOOD.map(() => tally(1, 99)), {}, []],
  ["leaves out who has too little volume", [...GOOD, tally(0, 99)], {}, []],
  ["needs enough backends with volume", [tally(100, 0), tally(0, 100)], { stdevFactor: 100 }, []],
  ["is stricter with a smaller factor", [...GOOD, tally(97, 3), tally(97, 3)], { stdevFactor: 100 }, [9, 10]],
  ["passes over who had nothing to do", [...GOOD, tally(50, 50), tally(0, 0)], { minVolume: 0 }, [9]],
] as const) {
  test(`belowMean() ${name}`, () => assert.deepEqual(belowMean(tallies, { ...ofRate, ...over }), expected));
}

test("aboveFailurePercentage() takes the threshold in", () => {
  const rules = { thresholdPercent: 85, minHosts: 2, minVolume: 50 };
  const tallies = [tally(15, 85), tally(16, 84), tally(0, 49), tally(0, 50)];
  assert.deepEqual(aboveFailurePercentage(tallies, rules), [0, 3]);
});

test("apply() keeps the past of who stays, forgets who leaves, and frees all when switched off", () => {
  const outlier = made(10);
  outlier.observe(0, local(5), 0);
  assert.deepEqual(outlier.apply(OUTLIER_DEFAULTS, range(5), 1_000), []);
  assert.equal(outlier.ejection(0)!.untilMs, 30_000);
  assert.deepEqual(outlier.apply(OUTLIER_DEFAULTS, [1, 2, 3], 2_000), []);
  assert.equal(outlier.observe(1, local(5), 2_000), true); // the place of the one who left is free
  assert.deepEqual(outlier.apply({ ...OUTLIER_DEFAULTS, isEnabled: false }, [1, 2, 3], 3_000), [1]);
  assert.equal(outlier.ejection(1), undefined);
  assert.deepEqual(outlier.tick(100_000), []);
});

test("whatever happens, no more are out than allowed, and nobody for longer than the cap", () => {
  const rng = createSeededRng(23);
  for (let round = 0; round < 60; round++) {
    const size = 1 + Math.floor(rng() * 12);
    const maxEjectionPercent = Math.floor(rng() * 101);
    const outlier = made(
      size,
      { maxEjectionPercent, enforcingFailurePercentage: 50, maxEjectionMs: 60_000, maxEjectionJitterMs: 5_000 },
      rng,
    );
    const allowed = Math.max(1, Math.floor((maxEjectionPercent * size) / 100));
    const rows = range(size).map(() => 0);
    for (let nowMs = 0; nowMs < 400_000; nowMs += 250) {
      for (const id of range(size)) {
        if (rng() < 0.2) rows[id] = rng() < 0.5 ? 0 : rows[id]! + Math.floor(rng() * 8);
        const sample = local(rows[id]!, { successes: Math.floor(rng() * 9), failures: Math.floor(rng() * 3) });
        outlier.observe(id, sample, nowMs);
      }
      if (rng() < 0.02) outlier.checkPassed(Math.floor(rng() * size), nowMs);
      outlier.tick(nowMs);
      const out = ejectedOf(outlier, size);
      assert.ok(out.length <= allowed, `${out.length} of ${size} at ${maxEjectionPercent} %`);
      for (const id of out) {
        const { sinceMs, untilMs } = outlier.ejection(id)!;
        assert.ok(untilMs > nowMs && untilMs - sinceMs <= 65_000);
      }
    }
  }
});
