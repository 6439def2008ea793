import assert from "node:assert/strict";
import test from "node:test";
import { createBreakers } from "#pool/breaker.ts";

const spec = { failures: 3, baseMs: 1000, maxMs: 5000 };
const ROW = 7;
function opened(nowMs = 0) {
  const breakers = createBreakers(spec);
  for (let count = 0; count < spec.failures; count++) breakers.failed(ROW, nowMs);
  return breakers;
}

test("breaker opens at the failure that completes the row, for that backend alone", () => {
  const breakers = createBreakers(spec);
  assert.deepEqual(
    [1, 2, 3].map(() => breakers.failed(ROW, 0)),
    [false, false, true],
  );
  assert.equal(breakers.allows(ROW, 0), false);
  assert.equal(breakers.allows(ROW, 999), false);
  assert.equal(breakers.allows(ROW + 1, 0), true);
});

test("breaker counts failures in a row: a success begins anew", () => {
  const breakers = createBreakers(spec);
  breakers.failed(ROW, 0);
  breakers.failed(ROW, 0);
  breakers.succeeded(ROW);
  breakers.failed(ROW, 0);
  breakers.failed(ROW, 0);
  assert.equal(breakers.allows(ROW, 0), true);
});

test("breaker lets one through when its time is over, and no second one", () => {
  const breakers = opened();
  assert.equal(breakers.allows(ROW, 1000), true);
  breakers.taken(ROW, 1000);
  assert.equal(breakers.allows(ROW, 1000), false);
  assert.equal(breakers.allows(ROW, 1999), false);
});

test("breaker closes when the one on probation succeeds", () => {
  const breakers = opened();
  breakers.taken(ROW, 1000);
  breakers.succeeded(ROW);
  assert.equal(breakers.allows(ROW, 1000), true);
  assert.equal(breakers.isOpen(ROW), false);
  assert.equal(breakers.failed(ROW, 1000), false, "one failure does not open it again");
});

test("breaker opens for twice as long with each probation that fails, up to the limit", () => {
  const breakers = opened();
  let nowMs = 0;
  for (const forMs of [1000, 2000, 4000, 5000, 5000]) {
    assert.equal(breakers.allows(ROW, nowMs + forMs - 1), false, `${forMs}`);
    nowMs += forMs;
    assert.equal(breakers.allows(ROW, nowMs), true, `${forMs}`);
    breakers.taken(ROW, nowMs);
    breakers.failed(ROW, nowMs);
  }
});

test("breaker lets the next one through when the one on probation says nothing", () => {
  const breakers = opened();
  breakers.taken(ROW, 1000);
  assert.equal(breakers.allows(ROW, 2000), true);
  breakers.taken(ROW, 2000);
  assert.equal(breakers.allows(ROW, 2000), false);
});

test("breaker is not kept open longer by connections that were under way when it opened", () => {
  const breakers = opened();
  for (let count = 0; count < 50; count++) breakers.failed(ROW, 500);
  assert.equal(breakers.allows(ROW, 1000), true);
});

test("keep() forgets backends that are gone", () => {
  const breakers = opened();
  breakers.keep(new Set([ROW]));
  assert.equal(breakers.isOpen(ROW), true);
  breakers.keep(new Set([ROW + 1]));
  assert.equal(breakers.isOpen(ROW), false);
});
