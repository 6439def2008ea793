import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock } from "#base/clock.ts";
import { createDelayLine } from "#drill/stage/delay-line.ts";

test("createDelayLine() carries each piece when its delay is over", () => {
  const clock = createManualClock();
  const line = createDelayLine(clock);
  const came: string[] = [];
  line.push(10, () => came.push("a"));
  clock.advance(5);
  line.push(10, () => came.push("b"));
  assert.equal(came.length, 0);
  clock.advance(5);
  assert.deepEqual(came, ["a"]);
  clock.advance(5);
  assert.deepEqual(came, ["a", "b"]);
});

test("createDelayLine() keeps what is held until it is let go, and forgets what is cleared", () => {
  const clock = createManualClock();
  const line = createDelayLine(clock);
  const came: string[] = [];
  line.push(10, () => came.push("a"));
  line.hold();
  clock.advance(100);
  line.push(10, () => came.push("b"));
  assert.equal(came.length, 0);
  line.release();
  clock.advance(10);
  assert.deepEqual(came, ["a", "b"]);
  line.push(10, () => came.push("c"));
  line.clear();
  clock.advance(100);
  assert.deepEqual(came, ["a", "b"]);
});

test("createDelayLine() keeps the order and loses nothing, however delays change and whenever it is held", () => {
  const acts = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(50) }),
    fc.record({ kind: fc.constantFrom("hold" as const, "release" as const), ms: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(acts), (list) => {
      const clock = createManualClock();
      const line = createDelayLine(clock);
      const came: number[] = [];
      let sent = 0;
      for (const { kind, ms } of list) {
        if (kind === "advance") clock.advance(ms);
        else if (kind === "push") {
          const number = sent++;
          line.push(ms, () => came.push(number));
        } else line[kind]();
      }
      line.release();
      clock.advance(1_000);
      assert.deepEqual(
        came,
        Array.from({ length: sent }, (_, index) => index),
      );
    }),
  );
});
