/** The small parts of steering: rolls, slots, intervals, TTL, states, and what a decision depends on. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseIp } from "#base/ip.ts";
import { createHealthTable, OVERRIDE, type TargetState, VERDICT } from "#state/health-table.ts";
import type { FilterSpec } from "#state/snapshot.ts";
import { runChain } from "#steer/chain.ts";
import { decide } from "#steer/decide.ts";
import { biasedKm, priorRttMs, quantiseKm } from "#steer/distance.ts";
import { rampIntervals, secondIntervals } from "#steer/intervals.ts";
import { RANK } from "#steer/region-state.ts";
import {
  clientKey,
  clientPlaceOf,
  isWithinShare,
  resolverSlotMs,
  roll,
  shareCuts,
  slotOf,
  turnPerSlot,
} from "#steer/rolls.ts";
import { earliestFlip, ttlSeconds } from "#steer/ttl.ts";
import {
  bound,
  FIRST,
  HEALTHY,
  NEAREST,
  NOW_MS,
  PRIORITY,
  REGIONS,
  rollsOf,
  SHED,
  service,
  statesOf,
  US,
  WEIGHTED,
  world,
} from "./world.ts";

const key = (text: string, bits: number): number => clientKey(parseIp(text)!, text.includes(":"), bits);

test("clientKey() cuts to the prefix, tells families apart, and uses every bit of a whole address", () => {
  assert.equal(key("198.51.100.7", 24), key("198.51.100.200", 24));
  assert.notEqual(key("198.51.100.7", 24), key("198.51.101.7", 24));
  assert.notEqual(key("198.51.100.7", 32), key("198.51.100.6", 32));
  assert.equal(key("2001:db8:1:2::3", 48), key("2001:db8:1:ffff::", 48));
  assert.notEqual(key("2001:db8:1:2::3", 128), key("2001:db8:1:2::4", 128));
  assert.notEqual(key("0.0.0.0", 24), key("::", 24));
});

test("slotOf() moves on once per slot, at an edge that the key shifts", () => {
  for (const shift of [0, 7, 29_999, 4_000_000_000]) {
    const slots = Array.from({ length: 61 }, (_, second) => slotOf(NOW_MS + second * 1_000, shift, 30_000));
    assert.equal(new Set(slots).size, 3);
    assert.deepEqual(slots, [...slots].sort());
  }
});

test("resolverSlotMs() is a quarter of ttl.min, and a second at least (ruling 1)", () => {
  assert.deepEqual([1, 4, 15, 60].map(resolverSlotMs), [1_000, 1_000, 3_750, 15_000]);
});

test("roll() depends on service, client and slot; the ramp's roll not on the slot", () => {
  const turn = turnPerSlot(30_000, 30);
  const of = (serviceHash: number, client: number, slot: number) => {
    const into = rollsOf();
    roll(clientPlaceOf(serviceHash, client), slot, turn, into);
    return into;
  };
  assert.deepEqual(of(1, 2, 3), of(1, 2, 3));
  assert.notEqual(of(1, 2, 3).main, of(9, 2, 3).main);
  assert.notEqual(of(1, 2, 3).main, of(1, 9, 3).main);
  assert.notEqual(of(1, 2, 3).main, of(1, 2, 4).main);
  assert.equal(of(1, 2, 3).ramp, of(1, 2, 4).ramp);
});

test("shareCuts() are where isWithinShare() changes its answer (property)", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.double({ min: 0.01, max: 4_095, noNaN: true }), (hash, share) => {
      const cuts = shareCuts(hash, share);
      for (let value = 0; value < 4_096; value++) {
        const changes = isWithinShare(value, hash, share) !== isWithinShare((value + 4_095) & 4_095, hash, share);
        assert.equal(changes, cuts.includes(value) && cuts[0] !== cuts[1], `at ${value}`);
      }
    }),
    { numRuns: 60, seed: 5 },
  );
});

test("intervals: rolls of one interval give one result, for every chain that asks (property)", () => {
  const split: FilterSpec = { name: "priority", split: [70, 20, 10], onEmpty: "undo" };
  const percent = fc.constantFrom(0, 1, 33, 50, 99, 100);
  fc.assert(
    fc.property(percent, percent, fc.nat(1_000), fc.nat(1_000), fc.boolean(), (ramp, drain, loadA, loadB, isSplit) => {
      const of = bound(service(isSplit ? [HEALTHY, split, FIRST] : [HEALTHY, SHED, FIRST]));
      const here = world(of, {
        health: {
          "us-east": { rampPercent: ramp, loadPermille: loadA },
          "eu-west": { override: OVERRIDE.drain, weightPercent: drain, loadPermille: loadB },
        },
      });
      for (const [name, intervals] of [
        ["ramp", rampIntervals(of, here.states)],
        ["second", secondIntervals(of, here.states)],
      ] as const) {
        const results = new Map<number, string>();
        for (let value = 0; value < 4_096; value++) {
          const { kept } = runChain(of, here, rollsOf({ [name]: value }));
          const text = kept.map(({ index }) => index).join();
          const interval = intervals.of[value]!;
          assert.ok(interval < intervals.count);
          assert.equal(text, results.get(interval) ?? text, `${name} ${value}`);
          results.set(interval, text);
        }
      }
    }),
    { numRuns: 40, seed: 6 },
  );
});

for (const { says, args, expected } of [
  { says: "ttl.max when nothing is announced", args: [15, 30, 0, false, 0], expected: 30 },
  { says: "a tenth less at most", args: [15, 30, 0, false, 0xffffffff], expected: 27 },
  { says: "whole seconds to the flip, rounded down", args: [15, 30, NOW_MS / 1_000 + 20, false, 0], expected: 20 },
  { says: "ttl.min for an overdue flip", args: [15, 30, 1, false, 0], expected: 15 },
  { says: "ttl.min for a makeshift", args: [15, 30, 0, true, 0], expected: 15 },
  { says: "never below ttl.min by jitter", args: [29, 30, 0, false, 0xffffffff], expected: 29 },
  { says: "ttl.max of 1", args: [1, 1, 0, false, 0xffffffff], expected: 1 },
] as const) {
  test(`ttlSeconds() is ${says}`, () => {
    const [min, max, flip, isShort, hash] = args;
    assert.equal(ttlSeconds(min, max, flip, isShort, NOW_MS, hash), expected);
  });
}

test("ttlSeconds() spreads evenly over its tenth", () => {
  const counts = new Map<number, number>();
  for (let hash = 0; hash < 1_024; hash++) {
    const ttl = ttlSeconds(15, 30, 0, false, NOW_MS, hash << 22);
    counts.set(ttl, (counts.get(ttl) ?? 0) + 1);
  }
  assert.deepEqual([...counts].sort(), [
    [27, 256],
    [28, 256],
    [29, 256],
    [30, 256],
  ]);
});

test("earliestFlip() looks at what counts, and at announced flips alone", () => {
  assert.equal(earliestFlip(Float64Array.of(50, 0, 40, 30), [0, 1, 2]), 40);
  assert.equal(earliestFlip(Float64Array.of(0, 0), [0, 1]), 0);
  assert.equal(earliestFlip(Float64Array.of(7), []), 0);
});

for (const [says, state, rank, share] of [
  ["up", {}, RANK.up, 4_096],
  ["down", { verdict: VERDICT.down }, RANK.down, 0],
  ["stale and down", { verdict: VERDICT.down, isStale: true }, RANK.stale, 0],
  ["stale and up", { isStale: true }, RANK.up, 4_096],
  ["held for failback", { verdict: VERDICT.down, isHeldForFailback: true }, RANK.returning, 0],
  ["in a ramp", { rampPercent: 25 }, RANK.up, 1_024],
  ["at the start of a ramp", { rampPercent: 0 }, RANK.returning, 0],
  ["drained", { override: OVERRIDE.drain, weightPercent: 0 }, RANK.drained, 0],
  ["drained and down", { override: OVERRIDE.drain, weightPercent: 50, verdict: VERDICT.down }, RANK.down, 0],
  ["weight without a drain", { weightPercent: 10 }, RANK.up, 4_096],
  ["overridden up in a ramp", { override: OVERRIDE.up, rampPercent: 10, verdict: VERDICT.down }, RANK.up, 4_096],
  ["overridden down", { override: OVERRIDE.down }, RANK.overriddenDown, 0],
] as readonly (readonly [string, Partial<TargetState>, number, number])[]) {
  test(`statesFrom() of a region that is ${says}`, () => {
    const of = bound(service([HEALTHY]));
    const [us] = world(of, { health: { "us-east": state } }).states;
    assert.deepEqual([us!.rank, us!.share], [rank, share]);
  });
}

test("statesFrom() of rows that nobody has written yet: all up (ruling 11)", () => {
  const of = bound(service([HEALTHY]));
  for (const state of statesOf(of, createHealthTable(9))) assert.deepEqual([state.rank, state.share], [RANK.up, 4_096]);
});

const IN_MOTION = { flipAtSeconds: NOW_MS / 1_000 + 20 } as const;
const NEAR_EU = { km: { "us-east": 6_500, "eu-west": 300, "ap-south": 9_000 } };
for (const { says, chain, health, expected } of [
  { says: "nothing while all is quiet", chain: [HEALTHY, NEAREST, FIRST], health: {}, expected: [] },
  {
    says: "the region in the answer",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "eu-west": IN_MOTION },
    expected: [1],
  },
  {
    says: "a better region that may return",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "eu-west": { ...IN_MOTION, verdict: VERDICT.down } },
    expected: [1],
  },
  { says: "not a worse region", chain: [HEALTHY, NEAREST, FIRST], health: { "ap-south": IN_MOTION }, expected: [] },
  {
    says: "not the second best while the best is quiet",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "us-east": IN_MOTION },
    expected: [],
  },
  {
    says: "a lower tier that may return",
    chain: [HEALTHY, PRIORITY, FIRST],
    health: { "us-east": { ...IN_MOTION, verdict: VERDICT.down } },
    expected: [0],
  },
  {
    says: "each region of a longer answer",
    chain: [HEALTHY, { name: "weighted" }, { name: "first", count: 3 }],
    health: { "us-east": IN_MOTION, "eu-west": IN_MOTION },
    expected: [0, 1],
  },
  {
    says: "a region in a ramp in any case",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "ap-south": { ...IN_MOTION, rampPercent: 50 } },
    expected: [2],
  },
  {
    says: "a region under an override in any case",
    chain: [HEALTHY, NEAREST, FIRST],
    health: { "ap-south": { ...IN_MOTION, override: OVERRIDE.drain, weightPercent: 0 } },
    expected: [2],
  },
] as const) {
  test(`decide() depends on ${says}`, () => {
    const of = bound(service(chain));
    const { dependsOn } = decide(of, world(of, { health, facts: NEAR_EU }), rollsOf());
    assert.deepEqual(dependsOn, expected);
  });
}

test("decide() asks in all runs for what the other outcome would ask", () => {
  const of = bound(service([HEALTHY, WEIGHTED, FIRST], { members: { "us-east": {}, "eu-west": {} } }));
  const here = world(of, { health: { "eu-west": { ...IN_MOTION, verdict: VERDICT.down } } });
  const { asked, askedInAll, kept } = decide(of, here, rollsOf());
  assert.deepEqual([kept[0]!.region.id, asked], [US.id, 0]);
  assert.notEqual(askedInAll, 0);
});

test("distance: bias, steps and prior", () => {
  assert.equal(biasedKm(1_000, 20), 800);
  assert.equal(biasedKm(1_000, -50), 1_500);
  assert.deepEqual([49, 51, 1_120, 4_890, 12_300].map(quantiseKm), [0, 100, 1_000, 5_000, 12_500]);
  assert.equal(priorRttMs(0), 5);
  assert.equal(priorRttMs(1_000), 20);
});

test("regions of the fixtures stand apart, so that tests of order mean something", () => {
  assert.equal(new Set(REGIONS.map(({ hash }) => hash & 4_095)).size, REGIONS.length);
});
