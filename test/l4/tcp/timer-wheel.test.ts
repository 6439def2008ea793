import assert from "node:assert/strict";
import test from "node:test";
import { type Clock, createManualClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import { TimerWheel, WHEEL_TICK_MS, type WheelEntry } from "#l4/tcp/timer-wheel.ts";

type Entry = WheelEntry & { readonly fired: number[] };
function createWorld() {
  const manual = createManualClock();
  const armed = { count: 0 };
  const clock: Clock = {
    ...manual,
    after(delayMs, callback) {
      armed.count++;
      return manual.after(delayMs, () => {
        armed.count--;
        callback();
      });
    },
  };
  const wheel = new TimerWheel(clock);
  const entry = (): Entry => {
    const fired: number[] = [];
    return { dueTick: -1, fired, onDue: () => fired.push(clock.monotonicMs()) };
  };
  return { manual, armed, wheel, entry, nowMs: () => clock.monotonicMs() };
}

for (const delayMs of [0, 1, 99, 100, 101, 5_000, 51_200, 51_201, 3_600_000]) {
  test(`TimerWheel fires an entry of ${delayMs} ms once, not early, at most two ticks late`, () => {
    const { manual, wheel, entry, nowMs, armed } = createWorld();
    manual.advance(33);
    const one = entry();
    const startMs = nowMs();
    wheel.start(one, delayMs);
    manual.advance(delayMs * 2 + 1_000);
    assert.equal(one.fired.length, 1);
    const lateMs = one.fired[0]! - startMs - delayMs;
    assert.ok(lateMs >= 0 && lateMs <= 2 * WHEEL_TICK_MS, `${lateMs} ms late`);
    assert.equal(armed.count, 0, "no timer without entries");
  });
}

test("TimerWheel fires what is started, moved and stopped in any order as its owner means it", () => {
  const rng = createSeededRng(7);
  const { manual, wheel, entry, nowMs } = createWorld();
  const entries = Array.from({ length: 50 }, () => ({ entry: entry(), dueMs: Number.POSITIVE_INFINITY, fired: 0 }));
  for (let step = 0; step < 5_000; step++) {
    const each = entries[Math.floor(rng() * entries.length)]!;
    if (rng() < 0.2) {
      wheel.stop(each.entry);
      each.dueMs = Number.POSITIVE_INFINITY;
    } else {
      const delayMs = Math.floor(rng() * (rng() < 0.1 ? 120_000 : 2_000));
      wheel.start(each.entry, delayMs);
      each.dueMs = nowMs() + delayMs;
    }
    manual.advance(Math.floor(rng() * 150));
    for (const one of entries) {
      const hasFired = one.entry.fired.length > one.fired;
      if (hasFired) {
        assert.ok(one.entry.fired.at(-1)! >= one.dueMs, "early");
        one.fired++;
        one.dueMs = Number.POSITIVE_INFINITY;
      }
      assert.equal(one.entry.fired.length, one.fired, "fired once");
      assert.ok(nowMs() - one.dueMs <= 2 * WHEEL_TICK_MS, "late");
    }
  }
});

test("TimerWheel fires all that fell due while the thread stood still, once", () => {
  let nowMs = 0;
  let turn: (() => void) | undefined;
  const wheel = new TimerWheel({
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(_delayMs, callback) {
      turn = callback;
      return { cancel() {} };
    },
  });
  let fired = 0;
  const entries = Array.from({ length: 1_000 }, () => ({ dueTick: -1, onDue: () => fired++ }));
  for (const [index, entry] of entries.entries()) wheel.start(entry, index * 100);
  const later = { dueTick: -1, onDue: () => assert.fail("not yet") };
  wheel.start(later, 1_000_000);
  nowMs = 200_000; // four times round
  turn!();
  assert.equal(fired, 1_000);
});

test("TimerWheel lets an entry start itself again, and others stop", () => {
  const { manual, wheel, entry } = createWorld();
  const victim = entry();
  let rounds = 0;
  const again: WheelEntry = {
    dueTick: -1,
    onDue() {
      wheel.stop(victim);
      if (++rounds < 5) wheel.start(again, 0);
    },
  };
  wheel.start(again, 0);
  wheel.start(victim, 0);
  manual.advance(10_000);
  assert.equal(rounds, 5);
  assert.deepEqual(victim.fired, []);
});
