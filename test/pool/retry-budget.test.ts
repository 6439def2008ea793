import assert from "node:assert/strict";
import test from "node:test";
import { createRetryBudget } from "#pool/retry-budget.ts";

const spec = { attempts: 3, budgetPercent: 20, minPerSecond: 10, windowMs: 10_000 };
const noMinimum = { ...spec, minPerSecond: 0 };
/** How many retries it grants at a moment. */
function drain(budget: ReturnType<typeof createRetryBudget>, nowMs: number): number {
  let granted = 0;
  while (budget.take(nowMs)) granted++;
  return granted;
}
function withTries(tries: number, nowMs = 0, of = spec) {
  const budget = createRetryBudget(of);
  for (let count = 0; count < tries; count++) budget.tried(nowMs);
  return budget;
}

for (const { name, tries, of, expected } of [
  { name: "grants the minimum of the window to a pool that is quiet", tries: 0, of: spec, expected: 100 },
  { name: "grants the minimum while the share is less", tries: 100, of: spec, expected: 100 },
  // r retries among 800 + r tries: r ≤ 20 % is r ≤ 200.
  { name: "grants a fifth of all tries, retries among them", tries: 800, of: spec, expected: 200 },
  { name: "grants no more than the share without a minimum", tries: 8, of: noMinimum, expected: 2 },
  { name: "grants nothing without tries and minimum", tries: 0, of: noMinimum, expected: 0 },
  { name: "grants nothing at 0 % and 0", tries: 9, of: { ...noMinimum, budgetPercent: 0 }, expected: 0 },
]) {
  test(`retry budget ${name}`, () => assert.equal(drain(withTries(tries, 0, of), 0), expected));
}

test("retry budget comes back as retries leave the window", () => {
  const budget = createRetryBudget(spec);
  assert.equal(drain(budget, 0), 100);
  assert.equal(drain(budget, 9_999), 0);
  assert.equal(drain(budget, 10_000), 100);
});

test("retry budget comes back slice by slice", () => {
  const budget = createRetryBudget(spec);
  for (let count = 0; count < 30; count++) budget.take(500);
  assert.equal(drain(budget, 5_000), 70);
  assert.equal(drain(budget, 10_000), 30, "those of the first second are over");
});

test("retry budget forgets tries that left the window", () => {
  const budget = withTries(8_000);
  assert.equal(drain(budget, 60_000_000), 100);
});

test("retry budget holds its share in every window of a steady load", () => {
  const budget = createRetryBudget(noMinimum);
  const granted: number[] = [];
  for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
    budget.tried(nowMs);
    if (budget.take(nowMs)) granted.push(nowMs);
  }
  for (let from = 10_000; from < 50_000; from += 1_000) {
    const retries = granted.filter((at) => at >= from && at < from + 10_000).length;
    assert.ok(retries > 200 && retries <= 275, `${retries} retries beside 1,000 tries from ${from} ms`);
  }
});

test("retry budget takes other numbers at once, and begins anew with another window", () => {
  const budget = createRetryBudget(spec);
  drain(budget, 1_000);
  budget.apply({ ...spec, minPerSecond: 20 });
  assert.equal(drain(budget, 1_000), 100);
  budget.apply({ ...spec, windowMs: 1_000 });
  assert.equal(drain(budget, 1_000), 10);
});
