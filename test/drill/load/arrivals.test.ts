import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createSeededRng } from "#base/rng.ts";
import { createArrivals } from "#drill/load/arrivals.ts";

/** All that is due within `untilMs`, where somebody looks at these times. */
function dueWithin(seed: number, perSecond: number, looks: readonly number[]): number[] {
  const arrivals = createArrivals(perSecond, 0, createSeededRng(seed));
  const due: number[] = [];
  for (const nowMs of looks)
    for (let at = arrivals.take(nowMs); at !== undefined; at = arrivals.take(nowMs)) due.push(at);
  return due;
}

test("createArrivals() keeps its rate over a long time", () => {
  const due = dueWithin(7, 200, [100_000]);
  assert.ok(Math.abs(due.length - 20_000) < 4 * Math.sqrt(20_000), `${due.length} in 100 s`);
});

test("createArrivals() spreads as a Poisson process does: counts of seconds vary as much as their mean", () => {
  const counts = new Array<number>(1_000).fill(0);
  for (const at of dueWithin(3, 50, [999_999.9])) counts[Math.floor(at / 1_000)]!++;
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
  assert.ok(variance / mean > 0.8 && variance / mean < 1.25, `variance ${variance}, mean ${mean}`);
});

test("createArrivals() is due at the same times however rarely somebody looks", () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.integer({ min: 0, max: 5_000 })), (seed, looks) => {
      const often = [...looks].sort((a, b) => a - b);
      assert.deepEqual(dueWithin(seed, 20, [...often, 5_000]), dueWithin(seed, 20, [5_000]));
    }),
  );
});

test("createArrivals() of rate 0 is never due", () => {
  const arrivals = createArrivals(0, 0, createSeededRng(1));
  assert.equal(arrivals.take(Number.MAX_SAFE_INTEGER), undefined);
  assert.equal(arrivals.nextMs(), Number.POSITIVE_INFINITY);
});
