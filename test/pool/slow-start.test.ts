import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { effectiveMilli, isRamping, slowStartFactor, takesFractions } from "#pool/slow-start.ts";
import { ALGORITHMS, type SlowStartSpec } from "#state/balancer.ts";

const spec = (over: Partial<SlowStartSpec> = {}): SlowStartSpec => ({
  windowMs: 60_000,
  aggression: 1,
  minPercent: 10,
  ...over,
});

for (const [name, elapsedMs, over, expected] of [
  ["starts at its floor", 0, {}, 0.1],
  ["stays at its floor until the line is above", 6_000, {}, 0.1],
  ["is half after half of the window", 30_000, {}, 0.5],
  ["is whole at the end of the window", 60_000, {}, 1],
  ["is whole long after it", 1e9, {}, 1],
  ["grows fast at first with aggression 2", 15_000, { aggression: 2 }, 0.5],
  ["grows late with aggression 0.5", 30_000, { aggression: 0.5 }, 0.25],
  ["is off without a window", 0, { windowMs: 0 }, 1],
  ["takes a clock that went back for a start", -5, {}, 0.1],
] as const) {
  test(`slowStartFactor() ${name}`, () => {
    assert.ok(Math.abs(slowStartFactor(elapsedMs, spec(over)) - expected) < 1e-12);
  });
}

test("slowStartFactor() never falls, and lies between its floor and 1, whatever the settings", () => {
  const rng = createSeededRng(5);
  for (let round = 0; round < 500; round++) {
    const some = spec({ windowMs: rng() * 1e6, aggression: 0.1 + rng() * 10, minPercent: rng() * 100 });
    let before = some.minPercent / 100 - 1e-12;
    for (let step = 0; step <= 20; step++) {
      const factor = slowStartFactor((step / 20) * some.windowMs, some);
      assert.ok(factor >= before && factor <= 1, JSON.stringify({ some, step, factor, before }));
      before = factor;
    }
    assert.equal(before, 1);
    assert.ok(!isRamping(some.windowMs, some));
  }
});

for (const [name, weight, factor, share, algorithm, expected] of [
  ["is the weight in thousandths", 3, 1, 100, "p2c", 3_000],
  ["multiplies slow start and what a drain leaves", 10, 0.5, 20, "p2c", 1_000],
  ["never rounds a share down to nothing", 1, 0.0001, 1, "p2c", 1],
  ["is 0 for weight 0", 0, 1, 100, "p2c", 0],
  ["is 0 where a drain leaves nothing", 5, 1, 0, "p2c", 0],
  ["is whole for hash algorithms in slow start", 5, 0.1, 100, "maglev", 5_000],
  ["is whole for hash algorithms in a partial drain", 5, 1, 20, "ring_hash", 5_000],
  ["is 0 for hash algorithms in a full drain", 5, 1, 0, "rendezvous", 0],
] as const) {
  test(`effectiveMilli() ${name}`, () => assert.equal(effectiveMilli(weight, factor, share, algorithm), expected));
}

test("takesFractions() is false of hash algorithms alone", () => {
  assert.deepEqual(
    ALGORITHMS.filter((algorithm) => !takesFractions(algorithm)),
    ["ip_hash", "ring_hash", "maglev", "rendezvous"],
  );
});
