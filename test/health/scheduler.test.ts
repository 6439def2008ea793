import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import type { ProbeResult } from "#health/probes/probe.ts";
import { createScheduler, type SchedulerOptions } from "#health/scheduler.ts";
import { createFakeProbes, httpCheck } from "./bed.ts";

const check = httpCheck();

function createBed(over: Partial<SchedulerOptions> = {}) {
  const clock = createManualClock();
  const probes = createFakeProbes(clock);
  const results: { key: string; atMs: number; result: ProbeResult }[] = [];
  /** ms that the process stood still: time passes, timers do not. */
  const stall = { ms: 0 };
  const stalling = { ...clock, monotonicMs: () => clock.monotonicMs() + stall.ms };
  const scheduler = createScheduler({
    clock: stalling,
    rng: createSeededRng(1),
    start: probes.start,
    onResult: (monitor, result) => results.push({ key: monitor.key, atMs: clock.monotonicMs(), result }),
    ...over,
  });
  const startsOf = (address: string): number[] =>
    probes.startsMs.filter((start) => start.address === address).map(({ atMs }) => atMs);
  return { clock, probes, results, scheduler, stall, startsOf };
}

test("probes follow each other after 90 to 100 % of the interval", () => {
  const { clock, scheduler, startsOf } = createBed();
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(500_000);
  const starts = startsOf("192.0.2.1");
  const gaps = starts.slice(1).map((atMs, index) => atMs - starts[index]!);
  assert.ok(
    gaps.every((gap) => gap >= 4_500 && gap <= 5_006),
    `${gaps}`,
  );
  assert.ok(new Set(gaps.map(Math.round)).size > 20, "gaps differ");
});

test("monitors start at most 5 ms apart, and all within one interval", () => {
  for (const [total, lastMs] of [
    [3, 30],
    [4_000, 5_020],
  ] as const) {
    const { clock, probes, scheduler } = createBed();
    for (let index = 0; index < total; index++) scheduler.add(`${index}`, `a${index}`, check, index, total);
    clock.advance(lastMs);
    assert.equal(new Set(probes.startsMs.map(({ address }) => address)).size, total);
    if (total === 4_000) assert.ok(probes.mostRunning < 50, `${probes.mostRunning}`);
  }
});

test("confirm() starts probes 500 ms apart without waiting for those before, then returns to the interval", () => {
  const { clock, probes, scheduler, startsOf } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  const monitor = scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(100);
  scheduler.confirm(monitor, 3);
  clock.advance(7_000);
  const [first, ...rest] = startsOf("192.0.2.1");
  assert.deepEqual(
    rest.slice(0, 3).map((atMs) => Math.round((atMs - first!) / 10) * 10),
    [500, 1_000, 1_500],
  );
  assert.ok(rest[3]! - rest[2]! >= 4_500);
  assert.ok(probes.mostRunning >= 3);
});

test("calm() ends a burst", () => {
  const { clock, scheduler, startsOf } = createBed();
  const monitor = scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(100);
  scheduler.confirm(monitor, 5);
  clock.advance(1_000);
  scheduler.calm(monitor);
  const before = startsOf("192.0.2.1").length;
  clock.advance(4_000);
  assert.ok(startsOf("192.0.2.1").length - before <= 1);
});

test("a probe that does not end is expired at its time-out", () => {
  const { clock, probes, results, scheduler } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(2_030);
  assert.equal(results[0]!.result.errorClass, "timeout");
  assert.ok(results[0]!.atMs >= 2_000);
  assert.equal(probes.running, 0);
});

test("remove() cancels what runs and starts nothing more", () => {
  const { clock, probes, results, scheduler } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  const monitor = scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(100);
  assert.equal(probes.running, 1);
  scheduler.remove(monitor);
  assert.equal(probes.running, 0);
  clock.advance(60_000);
  assert.deepEqual(
    [results.length, probes.startsMs.length, scheduler.stats().running, scheduler.heap.size],
    [0, 1, 0, 0],
  );
});

test("no more probes run than allowed, and those that wait are served in order", () => {
  const { clock, probes, results, scheduler } = createBed({ maxRunning: 4 });
  for (let index = 0; index < 40; index++) scheduler.add(`${index}`, `a${index}`, check, index, 40);
  probes.latencyMs = 300;
  clock.advance(4_000);
  assert.equal(probes.mostRunning, 4);
  assert.deepEqual(
    results.slice(0, 40).map(({ key }) => Number(key)),
    Array.from({ length: 40 }, (_, index) => index),
  );
});

test("scripts have a limit of their own, and do not hold up the others", () => {
  const { clock, probes, results, scheduler } = createBed({ maxScripts: 2 });
  const script = { ...httpCheck(), kind: "script", file: "/x", args: [], user: undefined } as never;
  for (let index = 0; index < 6; index++) {
    probes.answers.set(`s${index}`, "silent");
    scheduler.add(`s${index}`, `s${index}`, script, index, 12);
    scheduler.add(`h${index}`, `h${index}`, check, index, 12);
  }
  clock.advance(1_000);
  assert.equal(scheduler.stats().running, 2);
  assert.equal(scheduler.stats().waiting, 4);
  assert.equal(results.length, 6);
  clock.advance(7_000);
  assert.equal(
    new Set(probes.startsMs.filter(({ address }) => address.startsWith("s")).map(({ address }) => address)).size,
    6,
  );
});

test("a time-out that is overdue because this process stood still is put off, and a late pass counts", () => {
  const { clock, probes, results, scheduler, stall } = createBed();
  probes.latencyMs = 2_100; // read a little after the time-out, which is long overdue by then
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(1_000);
  stall.ms = 10_000;
  clock.advance(1_500);
  assert.equal(scheduler.stats().stalls, 1);
  assert.deepEqual([results.length, results[0]!.result.ok], [1, true]);
});

test("a failure after a stall within the probe's life counts neither way, and is tried again at once", () => {
  const { clock, probes, results, scheduler, stall, startsOf } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(1_000);
  stall.ms = 10_000;
  clock.advance(3_500);
  assert.equal(results[0]!.result.errorClass, "stalled");
  assert.ok(startsOf("192.0.2.1").length >= 2);
  probes.answers.set("192.0.2.1", "refused");
  clock.advance(6_000);
  assert.equal(results.at(-1)!.result.errorClass, "refused", "later failures count");
});

test("being a little late is no stall", () => {
  const { clock, probes, results, scheduler, stall } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(1_000);
  stall.ms = 200;
  clock.advance(1_200);
  assert.deepEqual([scheduler.stats().stalls, results[0]?.result.errorClass], [0, "timeout"]);
});

test("close() leaves nothing running", () => {
  const { clock, probes, scheduler } = createBed();
  probes.answers.set("192.0.2.1", "silent");
  scheduler.add("a", "192.0.2.1", check, 0, 1);
  clock.advance(100);
  scheduler.close();
  assert.equal(probes.running, 0);
  clock.advance(60_000);
  assert.equal(probes.startsMs.length, 1);
});
