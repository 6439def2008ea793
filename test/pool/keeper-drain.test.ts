import assert from "node:assert/strict";
import test from "node:test";
import type { PoolSpec } from "#state/balancer.ts";
import { createKeeperBed, type KeeperBed } from "./keeper-bed.ts";
import { backendAt, poolOf } from "./specs.ts";

const START_MS = 1_000;
const checked = (rows: readonly number[], over: Partial<PoolSpec> = {}): PoolSpec =>
  poolOf(
    rows.map((row) => backendAt(row)),
    { check: "backend", drainMs: 30_000, ...over },
  );
/** Backends that are up, with ten connections each. */
function running(rows: readonly number[], over: Partial<PoolSpec> = {}): KeeperBed {
  const bed = createKeeperBed();
  bed.keeper.apply([checked(rows, over)]);
  for (const row of rows) {
    bed.say({ [row]: { verdict: "up" } });
    bed.setActive(row, 10);
  }
  bed.run(START_MS);
  return bed;
}
/** When connections were to be reset, in ms after the start. */
const expiries = (bed: KeeperBed): string[] => bed.expired.map(({ row, atMs }) => `${row} at ${atMs - START_MS}`);

for (const [name, said, over, expected] of [
  ["drains", { override: "drain" }, {}, ["1 at 30000"]],
  ["is in maintenance", { override: "down" }, {}, ["1 at 30000", "1 at 31000", "1 at 32000"]],
  ["goes down, and is left alone", { verdict: "down" }, {}, []],
  ["goes down with closesOnDown", { verdict: "down" }, { closesOnDown: true }, ["1 at 30000"]],
  ["drains by half, and is left alone", { override: "drain", weightPercent: 50 }, {}, []],
  ["drains without time", { override: "drain" }, { drainMs: 0 }, ["1 at 0"]],
] as const) {
  test(`a backend that ${name}: ${expected.join(", ") || "nothing is reset"}`, () => {
    const bed = running([1, 2], over);
    bed.say({ 1: said });
    bed.run(32_500);
    assert.deepEqual(expiries(bed), expected);
  });
}

test("maintenance asks again each second only while connections are left", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { override: "down" } });
  bed.run(30_500);
  bed.setActive(1, 0);
  bed.run(10_000);
  assert.deepEqual(expiries(bed), ["1 at 30000", "1 at 31000"]);
});

test("coming back cancels the deadline; leaving again begins a new one", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { override: "drain" } });
  assert.equal(bed.view(1).drainUntilMs, bed.clock.nowMs() + 30_000);
  bed.run(20_000);
  bed.say({ 1: { override: "none" } });
  assert.equal(bed.view(1).drainUntilMs, null);
  bed.run(20_000);
  assert.deepEqual(expiries(bed), []);
  bed.say({ 1: { override: "drain" } });
  bed.run(30_000);
  assert.deepEqual(expiries(bed), ["1 at 70000"]);
});

test("drain, then maintenance: the deadline that runs stays", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { override: "drain" } });
  bed.run(20_000);
  bed.say({ 1: { override: "down" } });
  bed.run(10_000);
  assert.deepEqual(expiries(bed), ["1 at 30000"]);
});

test("with closesOnDown, a pool in panic resets nobody until health counts again", () => {
  const bed = running([1, 2], { closesOnDown: true });
  bed.say({ 1: { verdict: "down" }, 2: { verdict: "down" } });
  bed.run(60_000);
  assert.deepEqual(expiries(bed), []);
  bed.say({ 2: { verdict: "up" } });
  bed.run(1_000);
  assert.deepEqual(
    bed.expired.map(({ row }) => row),
    [1],
  );
});

test("closesOnDown that is switched on reaches backends that are down already, and switched off lets them be", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { verdict: "down" } });
  bed.run(60_000);
  bed.keeper.apply([checked([1, 2], { closesOnDown: true })]);
  bed.run(20_000);
  bed.keeper.apply([checked([1, 2])]);
  bed.run(20_000);
  assert.deepEqual(expiries(bed), []);
  bed.keeper.apply([checked([1, 2], { closesOnDown: true })]);
  bed.run(30_000);
  assert.deepEqual(expiries(bed), ["1 at 130000"]);
});

test("a removed backend gets nobody new, keeps its connections for drainMs, and is then no backend", () => {
  const bed = running([1, 2]);
  bed.keeper.apply([checked([2])]);
  assert.deepEqual([bed.state(1), bed.weight(1)], ["maint", 0]);
  assert.equal(bed.keeper.view()[0]!.backends.length, 1);
  bed.run(29_750);
  assert.deepEqual([bed.state(1), expiries(bed)], ["maint", []]);
  bed.run(250);
  assert.deepEqual([bed.state(1), expiries(bed)], ["none", ["1 at 30000"]]);
  bed.setActive(1, 0);
  bed.run(10_000);
  assert.deepEqual(expiries(bed), ["1 at 30000", "1 at 31000"]);
});

test("a removed backend without connections is none at once, and still expires: the kernel counts none", () => {
  const bed = running([1, 2]);
  bed.setActive(1, 0);
  bed.keeper.apply([checked([2])]);
  assert.equal(bed.state(1), "none");
  bed.run(40_000);
  assert.deepEqual(expiries(bed), ["1 at 30000"]);
});

test("a backend that is added back before its time is over keeps its connections", () => {
  const bed = running([1, 2]);
  bed.keeper.apply([checked([2])]);
  bed.run(10_000);
  bed.keeper.apply([checked([1, 2])]);
  assert.equal(bed.state(1), "active");
  bed.setActive(1, 0);
  bed.run(60_000);
  assert.deepEqual([bed.state(1), expiries(bed)], ["active", []]);
});

test("prepare() lets those in that come, and nobody goes before apply()", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { verdict: "up" }, 2: { verdict: "up" } });
  const other = poolOf([backendAt(5)], { name: "db" });
  bed.keeper.prepare([checked([3], { closesOnDown: true }), other]);
  assert.deepEqual([1, 2, 3, 5].map(bed.state), ["active", "active", "unknown", "active"]);
  bed.say({ 1: { verdict: "down" }, 3: { verdict: "up" } });
  assert.deepEqual([1, 2, 3].map(bed.state), ["down", "active", "active"], "all are looked after meanwhile");
  bed.run(1_000);
  bed.keeper.apply([checked([3]), other]);
  assert.deepEqual([1, 2, 3, 5].map(bed.state), ["maint", "maint", "active", "active"]);
  assert.equal(bed.told("backend.transition").filter((says) => says.includes("was removed")).length, 2);
});

test("prepare() of a configuration that is not served after all leaves no trace", () => {
  const bed = running([1]);
  bed.say({ 1: { verdict: "up" } });
  bed.setActive(1, 4);
  bed.keeper.prepare([checked([2])]);
  bed.keeper.apply([checked([2])]);
  assert.equal(bed.state(1), "maint");
  bed.keeper.prepare([checked([1])]);
  assert.equal(bed.state(1), "active", "those who go back to it may pick it");
  bed.keeper.apply([checked([1])]);
  bed.run(600_000);
  assert.deepEqual([1, 2].map(bed.state), ["active", "none"]);
  assert.deepEqual(
    bed.expired.filter(({ row }) => row === 1),
    [],
  );
});

test("a pool that is removed takes its backends and its alarms with it", () => {
  const bed = running([1, 2]);
  bed.say({ 1: { verdict: "down" }, 2: { verdict: "down" } });
  bed.keeper.apply([]);
  assert.deepEqual([1, 2].map(bed.state), ["maint", "maint"]);
  bed.run(30_000);
  assert.deepEqual(expiries(bed), ["1 at 30000", "2 at 30000"]);
  const open = new Set<string>();
  for (const { kind, subject, severity } of bed.events) {
    if (severity === "warning" || severity === "alarm") open.add(`${kind} ${subject}`);
    if (severity === "resolved") open.delete(`${kind} ${subject}`);
  }
  assert.deepEqual([...open], []);
});

test("pool.panic and pool.empty are told when they begin and end, and not of backends that nobody knows yet", () => {
  const bed = createKeeperBed();
  const spec = checked([1, 2, 3, 4], { panicPercent: 50 });
  bed.keeper.apply([spec]);
  bed.say({ 1: { verdict: "up" } });
  assert.deepEqual(bed.events, []);
  bed.say({ 2: { verdict: "up" }, 3: { verdict: "down" }, 4: { verdict: "down" } });
  assert.deepEqual(bed.told("pool.panic"), []);
  bed.say({ 2: { verdict: "down" } });
  assert.equal(bed.keeper.view()[0]!.isPanic, true);
  bed.say({ 3: { override: "down" }, 4: { override: "drain" } }); // taken out by an operator: 1 of 2 is left
  bed.say({ 1: { verdict: "down" } });
  bed.say({ 1: { verdict: "up" } });
  assert.deepEqual(bed.told("pool.panic"), [
    "alarm pool/web is in panic: 1 of 4 backends are healthy, less than 50 percent, so health is ignored",
    "resolved pool/web is no longer in panic",
    "alarm pool/web is in panic: none of its backends is healthy, so all of them are tried",
    "resolved pool/web is no longer in panic",
  ]);
  bed.say({ 1: { override: "down" }, 2: { override: "down" } });
  assert.equal(bed.keeper.view()[0]!.isEmpty, true);
  bed.say({ 1: { override: "none" } });
  assert.deepEqual(bed.told("pool.empty"), [
    "alarm pool/web has no backend that clients may be sent to",
    "resolved pool/web has backends for its clients again",
  ]);
});

test("without fail-open, a pool whose backends are all down is empty, and not in panic", () => {
  const bed = running([1, 2], { isFailOpen: false });
  bed.say({ 1: { verdict: "down" }, 2: { verdict: "down" } });
  const [pool] = bed.keeper.view();
  assert.deepEqual([pool!.isPanic, pool!.isEmpty], [false, true]);
});

test("backups that take over keep a pool out of panic", () => {
  const bed = createKeeperBed();
  const backends = [backendAt(1), backendAt(2), backendAt(3, { priority: 1 })];
  bed.keeper.apply([checked([], { backends, panicPercent: 50 })]);
  bed.say({ 1: { verdict: "down" }, 2: { verdict: "down" }, 3: { verdict: "up" } });
  const [pool] = bed.keeper.view();
  assert.deepEqual([pool!.isPanic, pool!.isEmpty], [false, false]);
});
