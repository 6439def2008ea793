import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { createWheel, TICK_MS, type WheelEntry } from "#l4/tcp/epoll/wheel.ts";

type Entry = WheelEntry & { readonly id: number };
const entry = (id: number): Entry => ({ id, bucket: -1, next: undefined, previous: undefined });

test("createWheel() hands out each entry once, never early and at most a tick late", () => {
  const rng = createSeededRng(7);
  let nowMs = 12_345;
  const due = new Map<Entry, number>();
  const wheel = createWheel<Entry>(nowMs, (fired) => {
    const atMs = due.get(fired);
    assert.ok(atMs !== undefined, "it is armed");
    assert.ok(nowMs >= atMs, `${fired.id} came ${atMs - nowMs} ms early`);
    assert.ok(nowMs - atMs <= 2 * TICK_MS, `${fired.id} came ${nowMs - atMs} ms late`);
    due.delete(fired);
  });
  const entries = Array.from({ length: 200 }, (_, id) => entry(id));
  for (let step = 0; step < 20_000; step++) {
    const one = entries[Math.floor(rng() * entries.length)]!;
    const dice = rng();
    if (dice < 0.5) {
      const atMs = nowMs + Math.floor(rng() * 20_000);
      due.set(one, atMs);
      wheel.arm(one, atMs);
    } else if (dice < 0.7) {
      due.delete(one);
      wheel.cancel(one);
    } else {
      nowMs += Math.floor(rng() * TICK_MS);
      wheel.advance(nowMs);
    }
    assert.equal(wheel.armed(), due.size);
  }
});

test("createWheel() hands out what lies beyond its round early, to be armed again", () => {
  let fired = 0;
  const wheel = createWheel<Entry>(0, (early) => {
    fired++;
    wheel.arm(early, 3_600_000);
  });
  wheel.arm(entry(1), 3_600_000);
  for (let nowMs = 0; nowMs < 3_599_000; nowMs += 1_000) wheel.advance(nowMs);
  assert.ok(fired > 100 && fired < 200, `${fired} rounds`);
  assert.equal(wheel.armed(), 1);
});

test("createWheel() survives a clock that stood still, and entries that cancel each other", () => {
  const [first, second] = [entry(1), entry(2)];
  const fired: number[] = [];
  const wheel = createWheel<Entry>(0, ({ id }) => {
    fired.push(id);
    wheel.cancel(id === 1 ? second : first);
  });
  wheel.arm(first, 100);
  wheel.arm(second, 100);
  wheel.advance(86_400_000);
  assert.equal(fired.length, 1);
  assert.equal(wheel.armed(), 0);
});
