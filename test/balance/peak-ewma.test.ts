import assert from "node:assert/strict";
import test from "node:test";
import { createLatencies, DECAY_MS } from "#balance/latency.ts";
import { createPeakEwma, DEFAULT_RTT_MICROS } from "#balance/peak-ewma.ts";
import { createSeededRng } from "#base/rng.ts";
import { membersOf, take } from "./contract.ts";

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= 1e-9 * expected, `${actual}, not ${expected}`);

test("createLatencies() with peaks takes a slower sample at once, and a faster one by the time that passed", () => {
  const latencies = createLatencies(true);
  latencies.update(["a"]);
  assert.equal(latencies.hasHistory(0), false);
  latencies.observe(0, 10_000, 0);
  near(latencies.average(0), 10_000);
  latencies.observe(0, 50_000, 1);
  near(latencies.average(0), 50_000);
  // After the decay time, 1/e of the old and the rest of the new.
  latencies.observe(0, 10_000, 1 + DECAY_MS);
  near(latencies.average(0), 50_000 / Math.E + 10_000 * (1 - 1 / Math.E));
  const before = latencies.average(0);
  latencies.observe(0, 1_000, 1 + DECAY_MS);
  near(latencies.average(0), before); // no time has passed: it weighs nothing
});

test("createLatencies() without peaks averages both ways", () => {
  const latencies = createLatencies(false);
  latencies.update(["a"]);
  latencies.observe(0, 10_000, 0);
  latencies.observe(0, 50_000, DECAY_MS * Math.LN2);
  near(latencies.average(0), 30_000);
});

test("createLatencies() lets averages fade, and does not trust a clock that goes back", () => {
  const latencies = createLatencies(true);
  latencies.update(["a"]);
  latencies.observe(0, 10_000, 5_000);
  near(latencies.fading(0, 5_000), 1);
  near(latencies.fading(0, 5_000 + DECAY_MS), 1 / Math.E);
  near(latencies.fading(0, 0), 1);
});

test("peak_ewma expects average × (connections + 1) / weight", () => {
  const members = membersOf([1, 4]);
  const algorithm = createPeakEwma({ rng: createSeededRng(1), balanceFactorPercent: 0 });
  algorithm.update(members);
  near(algorithm.wait(0, 0), DEFAULT_RTT_MICROS);
  near(algorithm.wait(1, 0), DEFAULT_RTT_MICROS / 4);
  algorithm.observe!(1, 8_000, 0);
  take(algorithm, members, 1, 3);
  near(algorithm.wait(1, 0), (8_000 * 4) / 4);
  near(algorithm.wait(1, DECAY_MS), 8_000 / Math.E);
  // The first client to a member without history is awaited, then history or time ends it.
  assert.equal(algorithm.pick(0, 0, [1]), 0);
  assert.ok(algorithm.wait(0, 1) >= 1e12);
  near(algorithm.wait(0, DECAY_MS), DEFAULT_RTT_MICROS);
  algorithm.observe!(0, 1_000, 2);
  near(algorithm.wait(0, 2), 1_000);
});
