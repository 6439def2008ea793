import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createWheel, WHEEL_TICK_MS, WheelEntry } from "#base/wheel.ts";

const START_MS = 12_345;

for (const delayMs of [-100, -1, 0, 1, 49, 50, 51, 5_000, 25_549, 25_550, 25_600, 25_601, 3_600_000]) {
  test(`createWheel() hands out an entry of ${delayMs} ms once, not early, at most a tick late`, () => {
    let nowMs = START_MS;
    const cameMs: number[] = [];
    const wheel = createWheel(nowMs, () => cameMs.push(nowMs));
    const dueMs = nowMs + delayMs;
    wheel.arm(new WheelEntry(), dueMs);
    for (; nowMs <= dueMs + 30_000; nowMs++) wheel.advance(nowMs);
    assert.equal(cameMs.length, 1);
    const lateMs = cameMs[0]! - Math.max(dueMs, START_MS);
    assert.ok(lateMs >= 0 && lateMs <= WHEEL_TICK_MS, `${lateMs} ms late`);
    assert.equal(wheel.armed(), 0);
  });
}

test("createWheel() hands out what is armed, moved and cancelled in any order as its owner means it", () => {
  const rng = createSeededRng(7);
  let nowMs = START_MS;
  const due = new Map<WheelEntry, number>();
  const wheel = createWheel(nowMs, (entry) => {
    assert.ok(nowMs >= due.get(entry)!, "armed, and not early");
    due.delete(entry);
  });
  const entries = Array.from({ length: 200 }, () => new WheelEntry());
  for (let step = 0; step < 20_000; step++) {
    const one = entries[Math.floor(rng() * entries.length)]!;
    const dice = rng();
    if (dice < 0.5) {
      const dueMs = nowMs + Math.floor(rng() * (rng() < 0.1 ? 120_000 : 2_000));
      due.set(one, dueMs);
      wheel.arm(one, dueMs);
    } else if (dice < 0.7) {
      due.delete(one);
      wheel.cancel(one);
    } else {
      nowMs += Math.floor(rng() * (rng() < 0.01 ? 60_000 : 2 * WHEEL_TICK_MS));
      wheel.advance(nowMs);
      for (const dueMs of due.values()) assert.ok(nowMs - dueMs < WHEEL_TICK_MS, "late");
    }
    assert.equal(wheel.armed(), due.size);
  }
});

test("createWheel() hands out all that fell due while the thread stood still, once", () => {
  let fired = 0;
  const wheel = createWheel(0, () => fired++);
  const entries = Array.from({ length: 1_000 }, () => new WheelEntry());
  for (const [index, entry] of entries.entries()) wheel.arm(entry, index * 100);
  const later = new WheelEntry();
  wheel.arm(later, 1_000_000);
  wheel.advance(200_000); // eight times round
  assert.equal(fired, 1_000);
  assert.equal(wheel.armed(), 1);
  wheel.advance(1_000_000);
  assert.equal(fired, 1_001);
});

test("createWheel() is on time after it stood still with nothing armed", () => {
  let nowMs = 0;
  const cameMs: number[] = [];
  const wheel = createWheel(nowMs, () => cameMs.push(nowMs));
  nowMs = 86_400_000;
  wheel.advance(nowMs);
  wheel.arm(new WheelEntry(), nowMs + 20_000);
  for (const until = nowMs + 30_000; nowMs <= until; nowMs += WHEEL_TICK_MS) wheel.advance(nowMs);
  assert.deepEqual(cameMs, [86_420_000]);
});

test("createWheel() lets an entry arm itself again, and cancel others", () => {
  let nowMs = 0;
  let rounds = 0;
  const again = new WheelEntry();
  const victim = new WheelEntry();
  const wheel = createWheel(nowMs, (entry) => {
    assert.equal(entry, again);
    wheel.cancel(victim);
    if (++rounds < 5) wheel.arm(again, nowMs);
  });
  wheel.arm(victim, 100);
  wheel.arm(again, 100); // the newest of a bucket comes first
  for (; nowMs < 10_000; nowMs += 10) wheel.advance(nowMs);
  assert.equal(rounds, 5);
  assert.equal(wheel.armed(), 0);
});
