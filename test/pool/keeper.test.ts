import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { standingOf } from "#pool/backend-state.ts";
import { BACKEND_COUNTER, BACKEND_WORD, backendCounter, backendWord } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { OVERRIDE, VERDICT } from "#state/health-table.ts";
import { createKeeperBed, type KeeperBed, type Said } from "./keeper-bed.ts";
import { backendAt, OUTLIER_DEFAULTS, poolOf } from "./specs.ts";

const SLOW = { windowMs: 60_000, aggression: 1, minPercent: 10 };
const checked = (rows: readonly number[], over: Partial<PoolSpec> = {}): PoolSpec =>
  poolOf(
    rows.map((row) => backendAt(row)),
    { check: "backend", ...over },
  );
const up = (rows: readonly number[]): Record<number, Said> =>
  Object.fromEntries(rows.map((row) => [row, { verdict: "up" }]));

/** A pool whose backends are all up, as some time after the start. */
function running(rows: readonly number[], over: Partial<PoolSpec> = {}): KeeperBed {
  const bed = createKeeperBed();
  bed.keeper.apply([checked(rows, over)]);
  bed.say(up(rows));
  bed.run(1_000);
  return bed;
}

test("apply() publishes all backends in one batch: unknown with a check, active without", () => {
  const bed = createKeeperBed();
  bed.keeper.apply([checked([1, 2]), poolOf([backendAt(3, { weight: 5 })], { name: "db" })]);
  assert.deepEqual([1, 2, 3].map(bed.state), ["unknown", "unknown", "active"]);
  assert.deepEqual([1, 2, 3].map(bed.weight), [1_000, 1_000, 5_000]);
  assert.deepEqual([bed.epoch(), bed.changes], [1, 1]);
  bed.keeper.apply([checked([1, 2]), poolOf([backendAt(3, { weight: 5 })], { name: "db" })]);
  assert.deepEqual([bed.epoch(), bed.changes], [1, 1]); // nothing new
  bed.keeper.apply([checked([1, 2]), poolOf([backendAt(3, { weight: 7 })], { name: "db" })]);
  assert.deepEqual([bed.weight(3), bed.epoch()], [7_000, 2]); // weights are live
  assert.deepEqual(bed.events, []);
});

test("healthChanged() publishes a batch once, passes over rows of others, and says what happened", () => {
  const bed = createKeeperBed();
  bed.keeper.apply([checked([1, 2, 3])]);
  bed.say({ 1: { verdict: "up" }, 2: { verdict: "up" }, 3: { verdict: "down" }, 9: { verdict: "down" } });
  assert.deepEqual([1, 2, 3, 9].map(bed.state), ["active", "active", "down", "none"]);
  assert.equal(bed.epoch(), 2);
  bed.say({ 3: { verdict: "up" } });
  bed.say({ 3: {} });
  assert.equal(bed.epoch(), 3);
  assert.deepEqual(bed.told("backend.transition"), [
    "warning backend/web/10.0.0.3:80 is down: connection refused",
    "resolved backend/web/10.0.0.3:80 is active (its check passes)",
  ]);
});

test("operators' words: maintenance, drain, a partial drain, up against the check, and what the configuration disables", () => {
  const bed = running([1, 2, 3, 4, 5]);
  bed.say({
    1: { override: "down" },
    2: { override: "drain" },
    3: { override: "drain", weightPercent: 20 },
    4: { override: "up", verdict: "down" },
    5: { override: "ignoreHealth", verdict: "down" },
  });
  assert.deepEqual([1, 2, 3, 4, 5].map(bed.state), ["maint", "drain", "active", "active", "active"]);
  assert.deepEqual([1, 2, 3, 4, 5].map(bed.weight), [1_000, 0, 200, 1_000, 1_000]);
  assert.equal(bed.view(1).cause, "override down");
  bed.keeper.apply([
    checked([1, 2, 3, 4], { backends: [1, 2, 3, 4].map((row) => backendAt(row, { isEnabled: row !== 4 })) }),
  ]);
  assert.equal(bed.state(4), "maint");
  assert.equal(bed.view(4).cause, "disabled in the configuration");
});

test("what is said of the table at any time is what standingOf() says of the facts", () => {
  const rng = createSeededRng(17);
  const bed = createKeeperBed();
  const rows = [1, 2, 3, 4, 5, 6];
  bed.keeper.apply([checked(rows)]);
  const facts = new Map(
    rows.map((row) => [
      row,
      { verdict: "unknown" as keyof typeof VERDICT, override: "none" as keyof typeof OVERRIDE, weightPercent: 100 },
    ]),
  );
  const pick = <Item>(from: readonly Item[]): Item => from[Math.floor(rng() * from.length)]!;
  for (let step = 0; step < 3_000; step++) {
    const row = pick(rows);
    const override = pick(["none", "none", "none", "up", "down", "drain", "ignoreHealth"] as const);
    const next = {
      verdict: pick(["unknown", "up", "up", "down"] as const),
      override,
      weightPercent: override === "drain" ? pick([0, 20, 100]) : 100,
    };
    facts.set(row, next);
    bed.say({ [row]: next });
    if (rng() < 0.1) bed.run(250);
    for (const [each, { verdict, override: said, weightPercent }] of facts) {
      const expected = standingOf({
        verdict: VERDICT[verdict],
        override: OVERRIDE[said],
        weightPercent,
        isEnabled: true,
        hasCheck: true,
        isEjected: false,
      });
      assert.equal(bed.table[backendWord(each, BACKEND_WORD.state)], expected.state);
      assert.equal(bed.weight(each), expected.sharePercent * 10);
    }
  }
});

test("nothing ramps at the start of the process; what was down does, in steps of about a second", () => {
  const bed = running([1, 2], { slowStart: SLOW });
  assert.deepEqual([1, 2].map(bed.weight), [1_000, 1_000]);
  bed.say({ 1: { verdict: "down" } });
  bed.run(10_000);
  assert.equal(bed.weight(1), 1_000); // of use in panic alone, when health is ignored
  bed.say({ 1: { verdict: "up" } });
  assert.equal(bed.weight(1), 100);
  assert.equal(bed.view(1).slowStartPercent, 10);
  assert.match(bed.told("backend.transition").at(-1)!, /is active .*, and takes its share step by step within 1m$/);
  const before = bed.epoch();
  bed.run(30_000);
  assert.ok(Math.abs(bed.weight(1) - 500) <= 20, `${bed.weight(1)}`);
  assert.ok(bed.epoch() - before <= 30, `${bed.epoch() - before}`);
  bed.run(31_000);
  assert.equal(bed.weight(1), 1_000);
  const whole = bed.epoch();
  bed.run(10_000);
  assert.equal(bed.epoch(), whole); // it is over, and nobody is told anything any more
  bed.keeper.apply([checked([1, 2], { slowStart: { ...SLOW, windowMs: 600_000 } })]);
  bed.run(10_000);
  assert.equal(bed.weight(1), 1_000);
});

test("a ramp ends when the backend goes down, and when the algorithm knows no fractions", () => {
  const bed = running([1, 2], { slowStart: SLOW });
  const restart = (): void => {
    bed.say({ 1: { verdict: "down" } });
    bed.say({ 1: { verdict: "up" } });
    bed.run(20_000);
  };
  restart();
  assert.ok(bed.weight(1) < 400);
  bed.say({ 1: { verdict: "down" } });
  assert.equal(bed.weight(1), 1_000);
  restart();
  assert.ok(bed.weight(1) < 400); // from the beginning
  bed.keeper.apply([checked([1, 2], { slowStart: SLOW, algorithm: "ring_hash" })]);
  assert.deepEqual([bed.weight(1), bed.view(1).slowStartPercent], [1_000, 100]);
});

for (const [name, before, ramps] of [
  ["maintenance", { override: "down" }, true],
  ["a drain", { override: "drain" }, false],
  ["a check that failed", { verdict: "down" }, true],
] as const) {
  test(`after ${name} a backend ${ramps ? "ramps" : "has its weight at once"}`, () => {
    const bed = running([1, 2], { slowStart: SLOW });
    bed.say({ 1: before });
    bed.run(1_000);
    bed.say({ 1: { verdict: "up", override: "none" } });
    assert.equal(bed.weight(1), ramps ? 100 : 1_000);
  });
}

test("a backend that is added later ramps from its first pass on; under a hash algorithm nothing does", () => {
  for (const algorithm of ["p2c", "maglev"] as const) {
    const bed = running([1, 2], { slowStart: SLOW, algorithm });
    bed.keeper.apply([checked([1, 2, 3], { slowStart: SLOW, algorithm })]);
    assert.equal(bed.state(3), "unknown");
    bed.run(20_000); // waiting for its check is no part of the ramp
    bed.say({ 3: { verdict: "up" } });
    assert.equal(bed.weight(3), algorithm === "p2c" ? 100 : 1_000);
    assert.equal(bed.view(3).slowStartPercent, algorithm === "p2c" ? 10 : 100);
    assert.deepEqual([1, 2].map(bed.weight), [1_000, 1_000]);
  }
});

test("a backend that fails real traffic is ejected, told with reason and end, and ramps when it returns", () => {
  const bed = running([1, 2, 3], { slowStart: SLOW });
  bed.fail(1, 4);
  bed.run(250);
  assert.equal(bed.state(1), "active");
  bed.fail(1, 1);
  bed.run(250);
  assert.equal(bed.state(1), "ejected");
  const told = bed.events.at(-1)!;
  assert.equal(told.says, "backend/web/10.0.0.1:80 is ejected for 30s: too many failures in a row");
  assert.deepEqual(told.data, {
    pool: "web",
    backend: "backend-000001",
    from: "active",
    to: "ejected",
    reason: "consecutive-5xx",
    untilMs: bed.clock.nowMs() + 30_000,
    times: 1,
  });
  assert.deepEqual(bed.view(1).ejection, { reason: "consecutive-5xx", untilMs: told.data!["untilMs"], times: 1 });
  assert.deepEqual(bed.keeper.view()[0]!.ejections, { "consecutive-5xx": 1 });
  bed.run(29_750);
  assert.equal(bed.state(1), "ejected");
  bed.run(250);
  assert.deepEqual([bed.state(1), bed.weight(1)], ["active", 100]);
  assert.equal(bed.events.at(-1)!.severity, "resolved");
  bed.run(5_000);
  assert.equal(bed.state(1), "active"); // its old failures are spent
});

test("a success between looks ends the row, and of two backends that fail one stays", () => {
  const bed = running([1, 2]);
  for (let round = 0; round < 8; round++) {
    bed.fail(1, 4);
    bed.run(250);
    bed.succeed(1, 1);
    bed.run(250);
  }
  assert.equal(bed.state(1), "active");
  bed.fail(1, 5);
  bed.fail(2, 5);
  bed.run(250);
  assert.deepEqual([1, 2].map(bed.state).sort(), ["active", "ejected"]);
  assert.equal(bed.keeper.view()[0]!.ejectionOverflows, 1);
});

test("an ejected backend that goes down is down, and its check's return ends the ejection", () => {
  const bed = running([1, 2, 3]);
  bed.fail(1, 5);
  bed.run(250);
  bed.say({ 1: { verdict: "down" } });
  assert.equal(bed.state(1), "down");
  bed.say({ 1: { verdict: "up" } });
  assert.equal(bed.state(1), "active");
  assert.equal(bed.view(1).ejection, null);
});

test("passes of a check that never failed do not end an ejection; an operator's up does not ask", () => {
  const bed = running([1, 2, 3]);
  bed.fail(1, 5);
  bed.run(250);
  bed.say({ 1: { verdict: "up" } });
  assert.equal(bed.state(1), "ejected");
  bed.say({ 1: { override: "up" } });
  assert.equal(bed.state(1), "active");
});

for (const { status, outlier, reason } of [
  { status: 500, outlier: OUTLIER_DEFAULTS, reason: "consecutive-5xx" },
  {
    status: 503,
    outlier: { ...OUTLIER_DEFAULTS, enforcingConsecutiveGatewayFailure: 100, enforcingConsecutive5xx: 0 },
    reason: "consecutive-gateway-failure",
  },
] as const) {
  test(`a backend that answers ${status} again and again is ejected, and one that answers well in between is not`, () => {
    const bed = running([1, 2, 3], { outlier });
    bed.answer(1, status, 4);
    bed.run(250);
    bed.answer(1, 200, 1);
    bed.run(250);
    bed.answer(1, status, 4);
    bed.run(250);
    assert.equal(bed.state(1), "active");
    bed.answer(1, status, 1);
    bed.run(250);
    assert.equal(bed.state(1), "ejected");
    assert.equal(bed.view(1).ejection?.reason, reason);
  });
}

test("outlier detection that is switched off frees at once, and begins afresh when it is on again", () => {
  const bed = running([1, 2, 3]);
  bed.fail(1, 5);
  bed.run(250);
  const off = { outlier: { ...OUTLIER_DEFAULTS, isEnabled: false } };
  bed.keeper.apply([checked([1, 2, 3], off)]);
  assert.equal(bed.state(1), "active");
});

test("what happened while outlier detection was off is not judged later", () => {
  const rows = [1, 2, 3, 4, 5, 6];
  const bed = running(rows, { outlier: { ...OUTLIER_DEFAULTS, isEnabled: false } });
  for (const row of rows) {
    bed.fail(row, row === 2 ? 300 : 0);
    bed.succeed(row, row === 2 ? 1 : 300);
  }
  bed.keeper.apply([checked(rows)]);
  bed.run(20_000);
  assert.deepEqual(
    rows.map(bed.state),
    rows.map(() => "active"),
  );
});

test("a worker's block that is gone takes no successes back: what others count is judged as ever", () => {
  const rows = [2, 4, 6, 8, 10, 12];
  const bed = running(rows);
  bed.blocks[1]![backendCounter(2, BACKEND_COUNTER.successes)] = 1_000;
  bed.run(10_000); // an interval with those
  bed.blocks.splice(1, 1);
  bed.run(250);
  for (const row of rows) {
    bed.fail(row, row === 2 ? 100 : 0);
    bed.succeed(row, row === 2 ? 100 : 200);
  }
  bed.run(10_000);
  assert.equal(bed.view(2).ejection?.reason, "success-rate");
});

test("takeBack() gives back what a dead worker held, once", () => {
  const bed = running([1, 2]);
  const [dead] = bed.blocks;
  bed.setActive(1, 7);
  Atomics.store(bed.table, backendWord(1, BACKEND_WORD.queued), 5);
  dead![backendCounter(1, BACKEND_COUNTER.active)] = 4;
  dead![backendCounter(1, BACKEND_COUNTER.queued)] = 2;
  bed.keeper.takeBack(dead!);
  bed.keeper.takeBack(dead!);
  assert.equal(bed.view(1).active, 3);
  assert.equal(bed.keeper.view()[0]!.queued, 3);
});

test("view() shows totals over all workers and since when", () => {
  const bed = running([1, 2]);
  const startMs = bed.clock.nowMs() - 1_000;
  for (const block of bed.blocks) block[backendCounter(1, BACKEND_COUNTER.connections)] = 21;
  bed.fail(1, 2);
  const view = bed.view(1);
  assert.deepEqual(
    [
      view.target,
      view.state,
      view.sinceMs,
      view.weight,
      view.totals.connections,
      view.totals.failures,
      view.failuresInARow,
    ],
    ["backend/web/10.0.0.1:80", "active", startMs, 1, 42, 2, 2],
  );
});

test("after close() nothing is written or told", () => {
  const bed = running([1, 2]);
  bed.keeper.close();
  const before = [bed.epoch(), bed.events.length];
  bed.say({ 1: { verdict: "down" } });
  bed.keeper.apply([]);
  bed.run(1_000);
  assert.deepEqual([bed.epoch(), bed.events.length], before);
});
