/** The small pure parts of health, each a table. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { mayTurnDown, withinWindow } from "#health/blast-budget.ts";
import { type Failback, firstFailback, holdFor, stepFailback } from "#health/failback.ts";
import { createMatcher } from "#health/glob.ts";
import { identityOf } from "#health/identity.ts";
import { QUIET } from "#health/machine.ts";
import { decide, earliestTurnMs, quorumWithout, type Tally } from "#health/quorum.ts";
import { aggregate, type Member } from "#health/region.ts";
import { addRtt, createRtt, excessTenthsMs } from "#health/rtt.ts";
import { httpCheck, NO_HOLD } from "./bed.ts";

fc.configureGlobal({ seed: 20_260, numRuns: 400 });

const member = (isUp: boolean, over: Partial<Member> = {}): Member => ({
  isUp,
  isHeld: false,
  flipMs: QUIET,
  isKnown: true,
  isStale: false,
  isLowConfidence: false,
  rttMicros: 0,
  excessRttTenthsMs: 0,
  ...over,
});
const family = (text: string): Member[] => [...text].map((letter) => member(letter === "u"));

for (const { v4, v6 = "", threshold = 0.5, expected } of [
  { v4: "u", expected: true },
  { v4: "d", expected: false },
  { v4: "ud", expected: true },
  { v4: "udd", expected: false }, // ceil(1.5) = 2
  { v4: "uud", expected: true },
  { v4: "uuud", threshold: 1, expected: false },
  { v4: "uddd", threshold: 0, expected: true }, // one at least
  { v4: "dddd", threshold: 0, expected: false },
  { v4: "uu", v6: "dd", expected: false },
  { v4: "ud", v6: "ud", expected: true },
  { v4: "", v6: "u", expected: true },
  { v4: "", v6: "", expected: true },
]) {
  test(`aggregate() of "${v4}" and "${v6}" at ${threshold} is ${expected ? "up" : "down"}`, () => {
    assert.equal(aggregate([family(v4), family(v6)], threshold).isUp, expected);
  });
}

test("aggregate() flips when the last member that matters does, and not before", () => {
  const up = (flipMs: number) => member(true, { flipMs });
  const down = (flipMs: number) => member(false, { flipMs });
  assert.equal(aggregate([[up(5), up(9), up(QUIET)]], 0.5).flipMs, 9); // two of three must go
  assert.equal(aggregate([[up(5), up(QUIET), up(QUIET)]], 0.5).flipMs, QUIET);
  assert.equal(aggregate([[up(QUIET)], [up(7)]], 0.5).flipMs, 7); // either family is enough
  assert.equal(aggregate([[down(8), down(4), down(6)]], 0.5).flipMs, 6); // two of three must come
  assert.equal(aggregate([[down(8)], [down(3)]], 0.5).flipMs, 8); // both families must come
});

test("aggregate() is never up with a family below its share (any members)", () => {
  const members = fc.array(fc.boolean(), { maxLength: 8 });
  fc.assert(
    fc.property(members, members, fc.double({ min: 0, max: 1, noNaN: true }), (v4, v6, threshold) => {
      const isCarried = (all: boolean[]) =>
        all.length === 0 || all.filter(Boolean).length >= Math.max(1, Math.ceil(threshold * all.length - 1e-9));
      const { isUp } = aggregate([v4.map((up) => member(up)), v6.map((up) => member(up))], threshold);
      assert.equal(isUp, isCarried(v4) && isCarried(v6));
    }),
  );
});

// ── failback ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const AUTO = { ...NO_HOLD, holdMs: "auto" as const, ramp: [10, 25, 50, 100] };

for (const { outageMs, penalty, holdMs = "auto" as const, expected } of [
  { outageMs: 5_000, penalty: 1, expected: 20_000 },
  { outageMs: 60_000, penalty: 1, expected: 120_000 },
  { outageMs: 60_000, penalty: 2, expected: 240_000 },
  { outageMs: 60_000, penalty: 4, expected: 960_000 },
  { outageMs: 60_000, penalty: 20, expected: 3_600_000 },
  { outageMs: 60_000, penalty: 1, holdMs: 5_000, expected: 5_000 },
  { outageMs: 60_000, penalty: 3, holdMs: 5_000, expected: 20_000 },
  { outageMs: 60_000, penalty: 1, holdMs: 7_200_000, expected: 7_200_000 },
  { outageMs: 60_000, penalty: 5, holdMs: 0, expected: 0 },
]) {
  test(`holdFor(${outageMs}, ${penalty}) with hold ${holdMs} is ${expected}`, () =>
    assert.equal(holdFor(outageMs, penalty, { ...AUTO, holdMs }), expected));
}

/** Steps through [health, at second] pairs. */
const walk = (spec: typeof AUTO, steps: readonly (readonly [boolean, number])[], from = firstFailback(0)): Failback =>
  steps.reduce((now, [isUp, second]) => stepFailback(now, isUp, second * 1_000, spec), from);

test("stepFailback() doubles the hold for a flap, and forgets flaps by half every 15 minutes", () => {
  const once = walk(AUTO, [
    [false, 0],
    [true, 60],
  ]);
  assert.deepEqual([once.phase, once.holdMs], ["hold", 120_000]);
  const twice = walk(
    AUTO,
    [
      [false, 200],
      [true, 260],
    ],
    walk(AUTO, [[true, 180]], once),
  );
  assert.ok(twice.holdMs > 200_000 && twice.holdMs < 240_000, `${twice.holdMs}`);
  const later = walk(
    AUTO,
    [
      [false, 20_000],
      [true, 20_060],
    ],
    walk(
      AUTO,
      [
        [true, 180],
        [true, 190],
        [true, 200],
        [true, 210],
      ],
      once,
    ),
  );
  assert.ok(later.holdMs < 121_000, `${later.holdMs}`);
});

test("stepFailback() counts a relapse during hold to the same outage", () => {
  const relapsed = walk(AUTO, [
    [false, 0],
    [true, 10],
    [false, 20],
    [true, 40],
  ]);
  assert.equal(relapsed.outageMs, 40_000);
});

test("stepFailback() ramps only after a long outage", () => {
  const short = walk(AUTO, [
    [false, 0],
    [true, 29],
    [true, 200],
  ]);
  assert.equal(short.phase, "up");
  const long = walk(AUTO, [
    [false, 0],
    [true, 31],
    [true, 200],
  ]);
  assert.equal(long.phase, "ramp");
});

test("stepFailback() is a standstill for ever once stable (no schedule loops)", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 400 })), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.constantFrom("auto" as const, "manual" as const), (gaps, mode) => {
      const spec = { ...AUTO, mode };
      let now = firstFailback(0);
      let atMs = 0;
      for (const [isUp, gap] of gaps) {
        atMs += gap * 1_000;
        let steps_ = 0;
        for (
          let stepped = stepFailback(now, isUp, atMs, spec);
          stepped !== now;
          stepped = stepFailback(now, isUp, atMs, spec)
        ) {
          now = stepped;
          assert.ok(++steps_ < 6);
        }
        assert.equal(now.phase === "down", !isUp);
      }
    }),
  );
});

// ── blast budget, quorum, globs, identity, rtt ───────────────────────────────────────────────────────────────────────

const spent = (...regions: string[]) => regions.map((region) => ({ atMs: 0, regions: [region] }));
for (const { name, before, regions, total, expected } of [
  { name: "the first target always", before: spent(), regions: ["a"], total: 1, expected: true },
  { name: "the first target also without a region", before: spent(), regions: [], total: 1, expected: true },
  { name: "more of the same region", before: spent("a", "a", "a"), regions: ["a"], total: 6, expected: true },
  { name: "a second region beyond 30 %", before: spent("a"), regions: ["b"], total: 6, expected: false },
  { name: "a second region within 30 %", before: spent("a"), regions: ["b"], total: 7, expected: true },
  { name: "an address that two regions share", before: spent("a"), regions: ["b", "a"], total: 3, expected: true },
  { name: "nothing after two regions beyond 30 %", before: spent("a", "b"), regions: ["a"], total: 7, expected: false },
]) {
  test(`mayTurnDown() ${expected ? "allows" : "refuses"} ${name}`, () =>
    assert.equal(mayTurnDown(before, regions, total), expected));
}
test("withinWindow() forgets what is 60 s old", () => {
  assert.equal(withinWindow(spent("a"), 59_999).length, 1);
  assert.equal(withinWindow(spent("a"), 60_000).length, 0);
});

/** One letter a vote: u up, d down; Y, N: the region says yes, no. */
const tally = (text: string): Tally => ({
  up: text.split("u").length - 1,
  down: text.split("d").length - 1,
  word: text.includes("Y") ? "yes" : text.includes("N") ? "no" : undefined,
});
for (const { text, quorum, last, scarceMs = 0, isUp, basis = "quorum", isHeld = false } of [
  { text: "u", quorum: 1, last: false, isUp: true },
  { text: "d", quorum: 1, last: true, isUp: false },
  { text: "ud", quorum: 1, last: true, isUp: false }, // any vantage may turn it down
  { text: "dud", quorum: 2, last: true, isUp: false },
  { text: "duu", quorum: 2, last: false, isUp: true },
  { text: "du", quorum: 2, last: true, isUp: true, basis: "last", isHeld: true },
  { text: "du", quorum: 2, last: false, isUp: false, basis: "last", isHeld: true },
  { text: "u", quorum: 2, last: true, isUp: true, basis: "last" },
  { text: "d", quorum: 2, last: true, isUp: true, basis: "last", isHeld: true },
  { text: "d", quorum: 2, last: true, scarceMs: 29_999, isUp: true, basis: "last", isHeld: true },
  { text: "d", quorum: 2, last: true, scarceMs: 30_000, isUp: false, basis: "scarce" },
  { text: "u", quorum: 2, last: false, scarceMs: 30_000, isUp: true, basis: "scarce" },
  { text: "", quorum: 2, last: true, scarceMs: 90_000, isUp: true, basis: "last" },
  { text: "", quorum: 2, last: false, scarceMs: 90_000, isUp: false, basis: "last" },
  { text: "dd", quorum: 3, last: true, scarceMs: 90_000, isUp: true, basis: "last", isHeld: true }, // two of five: not scarce
  { text: "uuuN", quorum: 2, last: true, isUp: false, basis: "region" },
  { text: "N", quorum: 1, last: true, isUp: false, basis: "region" },
  { text: "dY", quorum: 1, last: true, isUp: false },
  { text: "uY", quorum: 2, last: false, isUp: true },
  { text: "duY", quorum: 2, last: false, isUp: true },
  { text: "dduY", quorum: 2, last: true, isUp: false },
  { text: "dY", quorum: 2, last: true, isUp: true, basis: "last", isHeld: true },
  { text: "dY", quorum: 2, last: true, scarceMs: 30_000, isUp: false, basis: "scarce" },
  { text: "Y", quorum: 2, last: false, scarceMs: 30_000, isUp: false, basis: "last", isHeld: true }, // it cannot know
]) {
  test(`decide() of "${text}" with quorum ${quorum}, last ${last ? "up" : "down"}, after ${scarceMs} ms`, () =>
    assert.deepEqual(decide(tally(text), quorum, last, scarceMs), { isUp, basis, isHeld }));
}

test("quorumWithout() never asks for more votes than there are vantages left, and for one at least", () => {
  assert.deepEqual(
    [quorumWithout(2, 3, 0), quorumWithout(2, 3, 1), quorumWithout(3, 5, 3), quorumWithout(1, 1, 0)],
    [2, 2, 2, 1],
  );
});

test("earliestTurnMs() waits for as many votes as are missing", () => {
  assert.equal(earliestTurnMs(0, 2, [5, 9, QUIET]), 9);
  assert.equal(earliestTurnMs(1, 2, [5, QUIET]), 5);
  assert.equal(earliestTurnMs(0, 2, [5, QUIET, QUIET]), QUIET);
  assert.equal(earliestTurnMs(0, 2, [5]), QUIET);
});

for (const { glob, id, expected } of [
  { glob: "eu-west", id: "region/eu-west", expected: true },
  { glob: "eu-*", id: "region/eu-west", expected: true },
  { glob: "region/eu-*", id: "region/eu-west/192.0.2.1", expected: false },
  { glob: "region/eu-west/*", id: "region/eu-west/192.0.2.1", expected: true },
  { glob: "region/eu-west/192.0.2.1", id: "region/eu-west/192x0x2x1", expected: false },
  { glob: "*/eu-west", id: "region/eu-west", expected: true },
  { glob: "region/*/2001:db8::*", id: "region/eu-west/2001:db8::7", expected: true },
  { glob: "*", id: "region/a", expected: true },
]) {
  test(`createMatcher(${glob}) ${expected ? "takes" : "leaves"} ${id}`, () =>
    assert.equal(createMatcher(glob)(id), expected));
}

test("identityOf() is the same for equal checks by any name, and another for any parameter", () => {
  const here = identityOf(httpCheck({ name: "a", headers: { x: "1", y: "2" } }), { address: "192.0.2.1" });
  assert.equal(identityOf(httpCheck({ name: "b", headers: { y: "2", x: "1" } }), { address: "192.0.2.1" }), here);
  assert.notEqual(identityOf(httpCheck({ name: "a", headers: { x: "1", y: "3" } }), { address: "192.0.2.1" }), here);
  assert.notEqual(identityOf(httpCheck({ name: "a", headers: { x: "1", y: "2" } }), { address: "192.0.2.2" }), here);
});

test("addRtt() smooths, and its baseline outlives a bad hour but not a bad day", () => {
  const rtt = createRtt(0);
  let nowMs = 0;
  const run = (hours: number, micros: number): void => {
    for (const endMs = nowMs + hours * 3_600_000; nowMs < endMs; nowMs += 60_000) addRtt(rtt, micros, nowMs);
  };
  addRtt(rtt, 8_000, 0);
  addRtt(rtt, 16_000, 0);
  assert.equal(rtt.smoothedMicros, 9_000);
  run(20, 10_000);
  assert.ok(excessTenthsMs(rtt) <= 1);
  run(2, 50_000);
  assert.ok(Math.abs(excessTenthsMs(rtt) - 400) <= 2, `${excessTenthsMs(rtt)}`);
  run(26, 50_000);
  assert.ok(excessTenthsMs(rtt) <= 1, `${excessTenthsMs(rtt)}`);
  assert.ok(rtt.lows.length <= 24);
});
