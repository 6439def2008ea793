import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createDeadlines } from "#dns/transport/deadlines.ts";

function setup(limitMs: number) {
  const clock = createManualClock();
  const expired: string[] = [];
  return { clock, expired, deadlines: createDeadlines<string>(clock, limitMs, (item) => expired.push(item)) };
}

test("createDeadlines() expires each item after the limit, in order", () => {
  const { clock, expired, deadlines } = setup(100);
  deadlines.start("a");
  clock.advance(40);
  deadlines.start("b");
  clock.advance(59);
  assert.deepEqual(expired, []);
  clock.advance(1);
  assert.deepEqual(expired, ["a"]);
  clock.advance(40);
  assert.deepEqual(expired, ["a", "b"]);
});

test("createDeadlines() starts anew what is started again, and forgets what is stopped", () => {
  const { clock, expired, deadlines } = setup(100);
  deadlines.start("a");
  deadlines.start("b");
  deadlines.start("c");
  clock.advance(60);
  deadlines.start("a");
  deadlines.stop("b");
  assert.equal(deadlines.oldest(), "c");
  clock.advance(60);
  assert.deepEqual(expired, ["c"]);
  clock.advance(40);
  assert.deepEqual(expired, ["c", "a"]);
  assert.equal(deadlines.oldest(), undefined);
});

test("createDeadlines() holds who waits already to a new limit", () => {
  const { clock, expired, deadlines } = setup(100);
  deadlines.start("a");
  clock.advance(20);
  deadlines.setLimit(30);
  clock.advance(9);
  assert.deepEqual(expired, []);
  clock.advance(1);
  assert.deepEqual(expired, ["a"]);
});
