import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock } from "#base/clock.ts";
import { createTimerHeap, type HeapItem } from "#health/timer-heap.ts";

fc.configureGlobal({ seed: 20_260, numRuns: 400 });

test("createTimerHeap() fires each item once, in order, never early and at most 20 ms late", () => {
  const step = fc.record({ item: fc.nat(20), action: fc.constantFrom("set", "remove", "advance"), ms: fc.nat(200) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const clock = createManualClock();
      const heap = createTimerHeap(clock);
      const due = new Map<number, number>();
      let lastDueMs = 0;
      const items: HeapItem[] = Array.from({ length: 21 }, (_, index) => ({
        dueMs: 0,
        heapIndex: -1,
        fire(nowMs) {
          const dueMs = due.get(index)!;
          due.delete(index);
          assert.ok(nowMs >= dueMs && nowMs <= dueMs + 20, `due ${dueMs}, fired ${nowMs}`);
          assert.ok(dueMs >= lastDueMs - 20);
          lastDueMs = dueMs;
        },
      }));
      for (const { item, action, ms } of steps) {
        if (action === "advance") clock.advance(ms);
        else if (action === "remove") {
          heap.remove(items[item]!);
          due.delete(item);
        } else {
          const dueMs = clock.monotonicMs() + ms;
          heap.set(items[item]!, dueMs);
          due.set(item, dueMs);
        }
        assert.equal(heap.size, due.size);
      }
      clock.advance(1_000);
      assert.equal(due.size, 0);
    }),
  );
});

test("createTimerHeap() is not put off by a stream of new items", () => {
  const clock = createManualClock();
  const heap = createTimerHeap(clock);
  let firedMs = -1;
  heap.set({ dueMs: 0, heapIndex: -1, fire: (nowMs) => (firedMs = nowMs) }, 1);
  for (let index = 0; index < 20; index++) {
    clock.advance(2);
    heap.set({ dueMs: 0, heapIndex: -1, fire() {} }, clock.monotonicMs() + 1);
  }
  assert.ok(firedMs >= 1 && firedMs <= 21, `${firedMs}`);
});
