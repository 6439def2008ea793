import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { firstMachine, isUp, type Machine, next, nextFlipMs, QUIET } from "#health/machine.ts";

fc.configureGlobal({ seed: 20_260, numRuns: 400 });

const LIMITS = { thresholds: { down: 3, up: 5, ok: 5 }, downSpanMs: 2_000 };

/** Runs `P` (pass) and `F` (fail), one each `stepMs`. */
function run(results: string, stepMs: number, from: Machine = firstMachine("up", 0)): Machine {
  let machine = from;
  for (const [index, result] of [...results].entries()) {
    machine = next(machine, result === "P" ? "pass" : "fail", 10_000 + index * stepMs, LIMITS);
  }
  return machine;
}
const down = firstMachine("down", 0);

for (const { name, results, stepMs = 1_000, from, expected, failures = 0, streak = 0 } of [
  { name: "stays up while probes pass", results: "PPPP", expected: "up" },
  { name: "notes the first failure", results: "F", expected: "failing", failures: 1 },
  { name: "goes down after three failures in 2 s", results: "FFF", expected: "down" },
  {
    name: "does not go down before the failures span 2 s",
    results: "FFF",
    stepMs: 500,
    expected: "failing",
    failures: 3,
  },
  { name: "goes down as soon as they span 2 s", results: "FFFFF", stepMs: 500, expected: "down" },
  { name: "does not forgive failures for passes in between", results: "FPFPF", expected: "down" },
  { name: "forgives after five passes in a row", results: "FFPPPPP", expected: "up" },
  { name: "does not forgive after four", results: "FFPPPP", expected: "failing", failures: 2, streak: 4 },
  { name: "does not add passes over a failure", results: "FPPPPFPPPP", expected: "failing", failures: 2, streak: 4 },
  { name: "does not go down by a pass", results: "FFFP", stepMs: 700, expected: "failing", failures: 3, streak: 1 },
  { name: "stays down while probes fail", results: "FFF", from: down, expected: "down" },
  { name: "recovers by five passes in a row", results: "PPPPP", from: down, expected: "up" },
  { name: "counts passes while recovering", results: "PPPP", from: down, expected: "recovering", streak: 4 },
  {
    name: "starts recovering anew after a failure",
    results: "PPPPFPPPP",
    from: down,
    expected: "recovering",
    streak: 4,
  },
] as {
  name: string;
  results: string;
  stepMs?: number;
  from?: Machine;
  expected: string;
  failures?: number;
  streak?: number;
}[]) {
  test(`next() ${name}`, () => {
    const machine = run(results, stepMs, from);
    assert.deepEqual([machine.name, machine.failures, machine.streak], [expected, failures, streak]);
  });
}

test("next() keeps the time since when the verdict holds", () => {
  assert.equal(run("FPF", 1_000).sinceMs, 0);
  assert.equal(run("FFF", 1_000).sinceMs, 12_000);
});

const schedule = fc.array(fc.record({ gapMs: fc.integer({ min: 0, max: 3_000 }), pass: fc.boolean() }), {
  maxLength: 120,
});
const limits = fc.record({
  thresholds: fc.record({
    down: fc.integer({ min: 1, max: 6 }),
    up: fc.integer({ min: 1, max: 6 }),
    ok: fc.integer({ min: 1, max: 12 }),
  }),
  downSpanMs: fc.integer({ min: 0, max: 5_000 }),
});

test("next() never flips earlier than thresholds and span allow, and always then", () => {
  fc.assert(
    fc.property(schedule, limits, (results, limit) => {
      let machine = firstMachine("up", 0);
      let nowMs = 0;
      // The same rule, told by looking back over the history since the last flip or pardon.
      let failuresMs: number[] = [];
      let passes = 0;
      for (const { gapMs, pass } of results) {
        nowMs += gapMs;
        const wasUp = isUp(machine);
        machine = next(machine, pass ? "pass" : "fail", nowMs, limit);
        passes = pass ? passes + 1 : 0;
        let expected = wasUp;
        if (wasUp) {
          if (!pass) failuresMs.push(nowMs);
          if (passes >= limit.thresholds.ok) failuresMs = [];
          const isEnough = failuresMs.length >= limit.thresholds.down && nowMs - failuresMs[0]! >= limit.downSpanMs;
          if (!pass && isEnough) expected = false;
        } else if (passes >= limit.thresholds.up) expected = true;
        if (expected !== wasUp) {
          failuresMs = [];
          passes = 0;
        }
        assert.equal(isUp(machine), expected);
      }
    }),
  );
});

test("nextFlipMs() is never later than the real flip of the worst schedule to come", () => {
  fc.assert(
    fc.property(
      schedule,
      limits,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 4_000 }),
      (past, limit, outstanding, untilNextMs) => {
        let machine = firstMachine("up", 0);
        let nowMs = 1;
        for (const { gapMs, pass } of past) {
          nowMs += gapMs;
          machine = next(machine, pass ? "pass" : "fail", nowMs, limit);
        }
        const outlook = {
          nowMs,
          outstanding,
          nextStartMs: nowMs + untilNextMs,
          confirmSpacingMs: 500,
          minIntervalMs: 4_500,
        };
        const told = nextFlipMs(machine, limit, outlook);
        const wasUp = isUp(machine);
        if (told === QUIET) {
          assert.equal(machine.name, "up");
          return;
        }
        // Everything that can end now ends now; then one result as soon as each start allows.
        let atMs = nowMs;
        for (let count = 0; count < 60; count++) {
          if (count >= outstanding) atMs = outlook.nextStartMs + (count - outstanding) * (wasUp ? 500 : 4_500);
          machine = next(machine, wasUp ? "fail" : "pass", atMs, limit);
          if (isUp(machine) !== wasUp) break;
        }
        assert.notEqual(isUp(machine), wasUp);
        assert.ok(told <= atMs, `told ${told}, flipped at ${atMs}`);
      },
    ),
  );
});

test("nextFlipMs() is quiet only while up with evidence and without failures", () => {
  const outlook = { nowMs: 100_000, outstanding: 0, nextStartMs: 103_000, confirmSpacingMs: 500, minIntervalMs: 4_500 };
  assert.equal(nextFlipMs(run("P", 1), LIMITS, outlook), QUIET);
  assert.equal(nextFlipMs(firstMachine("up", 0), LIMITS, outlook), 104_000);
  assert.equal(nextFlipMs(down, LIMITS, outlook), 103_000 + 4 * 4_500);
  assert.equal(nextFlipMs(run("PP", 1, down), LIMITS, outlook), 103_000 + 2 * 4_500);
});
