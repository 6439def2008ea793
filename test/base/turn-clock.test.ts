import assert from "node:assert/strict";
import test from "node:test";
import { createTurnClock } from "#base/clock.ts";

test("createTurnClock() reads the time once per turn of the event loop", async () => {
  let reads = 0;
  const clock = createTurnClock(() => ++reads);
  assert.deepEqual([clock.nowMs(), clock.nowMs(), clock.nowMs()], [1, 1, 1]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([clock.nowMs(), clock.nowMs()], [2, 2]);
});
