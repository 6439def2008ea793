import assert from "node:assert/strict";
import test from "node:test";
import { type Clock, createManualClock } from "#base/clock.ts";
import { WHEEL_TICK_MS } from "#base/wheel.ts";
import { createNetTimers, limited } from "#net/node/timers.ts";

/** Timers over a clock that counts who waits for it. */
function createWorld() {
  const manual = createManualClock();
  const waiting = new Set<object>();
  const clock: Clock = {
    ...manual,
    after(delayMs, callback) {
      const timer = manual.after(delayMs, () => {
        waiting.delete(timer);
        callback();
      });
      waiting.add(timer);
      return {
        cancel() {
          waiting.delete(timer);
          timer.cancel();
        },
      };
    },
  };
  return { manual, waiting, timers: createNetTimers(clock) };
}

test("createNetTimers() is on time after a long quiet, and ticks only while something is armed", () => {
  const { manual, waiting, timers } = createWorld();
  manual.advance(3_600_033);
  assert.equal(waiting.size, 0);
  const cameMs: number[] = [];
  const dueMs = timers.nowMs() + 1_000;
  for (let index = 0; index < 3; index++)
    timers.arm(
      limited(() => cameMs.push(timers.nowMs())),
      dueMs,
    );
  assert.equal(waiting.size, 1);
  manual.advance(10_000);
  assert.equal(cameMs.length, 3);
  for (const each of cameMs) assert.ok(each >= dueMs && each <= dueMs + 2 * WHEEL_TICK_MS, `${each - dueMs} ms late`);
  assert.equal(waiting.size, 0);
});

test("createNetTimers() calls nobody whose limit was cancelled, nor after its end", () => {
  const { manual, waiting, timers } = createWorld();
  const never = limited(() => assert.fail("cancelled"));
  timers.arm(never, timers.nowMs() + 1_000);
  timers.cancel(never);
  manual.advance(2_000);
  assert.equal(waiting.size, 0);
  const last = limited(() => timers.close());
  timers.arm(last, timers.nowMs() + 100);
  timers.arm(never, timers.nowMs() + 1_000);
  manual.advance(2_000);
  timers.arm(never, timers.nowMs());
  manual.advance(2_000);
  assert.equal(waiting.size, 0);
});
