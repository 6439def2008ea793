/** Waiting for a place: order, bounds, time limit, who wakes whom. Two `Places` over one table are two workers. */
import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createAlgorithm } from "#balance/table.ts";
import { NO_PLACE, type Places } from "#pool/place.ts";
import { activeAt, createPoolWorld, publish, requestOf, wordAt } from "./pool-fixture.ts";
import { backendAt, poolOf } from "./specs.ts";

const single = (max = 100, timeoutMs = 1_000, limit = 1) =>
  poolOf([backendAt(0, { maxConnections: limit })], { queue: { max, timeoutMs } });

type Told = { name: string; row: number };
/** Waits by name; `told` has the outcomes in the order in which they came. */
function createWaits(now: () => number) {
  const told: Told[] = [];
  const wait = (places: Places, name: string, tried: readonly number[] = []) =>
    places.wait(requestOf(undefined, tried), now(), (row) => told.push({ name, row }));
  return { told, wait };
}
const queuedWord = (table: Int32Array): number => wordAt(table, 0, "queued");

test("wait() is over when a place is given back, first come first served", () => {
  const { places, take, now, table, counter } = createPoolWorld(single());
  const { told, wait } = createWaits(now);
  assert.equal(take(), 0);
  for (const name of ["a", "b", "c"]) wait(places, name);
  assert.deepEqual([places.queued(), queuedWord(table), counter(0, "queued")], [3, 3, 3]);
  assert.deepEqual(told, []);
  places.release(0, now());
  assert.deepEqual(told, [{ name: "a", row: 0 }]);
  places.release(0, now());
  places.release(0, now());
  assert.deepEqual(
    told.map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.deepEqual([places.queued(), queuedWord(table), counter(0, "queued"), activeAt(table, 0)], [0, 0, 0, 1]);
});

test("take() does not pass those who wait", () => {
  const { places, take, now, table } = createPoolWorld(single(100, 1_000, 0));
  const { wait } = createWaits(now);
  publish(table, { 0: "active" });
  wait(places, "a");
  assert.equal(take(), NO_PLACE.full);
});

test("wait() stops when its caller says so", () => {
  const { places, take, now, table } = createPoolWorld(single());
  const { told, wait } = createWaits(now);
  take();
  const stop = wait(places, "a");
  wait(places, "b");
  stop();
  stop();
  assert.deepEqual([places.queued(), queuedWord(table)], [1, 1]);
  places.release(0, now());
  assert.deepEqual(told, [{ name: "b", row: 0 }]);
});

test("wait() ends after the time limit", () => {
  const { places, take, now, clock, table } = createPoolWorld(single());
  const { told, wait } = createWaits(now);
  take();
  wait(places, "a");
  clock.advance(500);
  wait(places, "b");
  clock.advance(499);
  places.tick(now());
  assert.deepEqual(told, []);
  clock.advance(1);
  places.tick(now());
  assert.deepEqual(told, [{ name: "a", row: NO_PLACE.queueTimeout }]);
  assert.equal(queuedWord(table), 1);
});

for (const [name, max] of [
  ["when as many wait as may, over all workers", 2],
  ["where nobody may wait", 0],
] as const) {
  test(`wait() is refused soon ${name}`, async () => {
    const { workers, take, now, table } = createPoolWorld(single(max), { workers: 2 });
    const { told, wait } = createWaits(now);
    take();
    for (let count = 0; count < max; count++) wait(workers[count % 2]!, `${count}`);
    const late: number[] = [];
    workers[0]!.wait(requestOf(), now(), (row) => late.push(row));
    assert.deepEqual(late, [], "not from inside the call");
    await turn();
    assert.deepEqual(late, [NO_PLACE.queueFull]);
    assert.deepEqual([told.length, queuedWord(table)], [0, max]);
  });
}

test("wait() that is refused is told by tick() where the event loop does not turn, once", async () => {
  const { places, now } = createPoolWorld(single(0));
  const { told, wait } = createWaits(now);
  wait(places, "a");
  wait(places, "b")();
  places.tick(now());
  await turn();
  assert.deepEqual(told, [{ name: "a", row: NO_PLACE.queueFull }]);
});

test("a place that came free before wait() was counted is found", async () => {
  const { workers, now } = createPoolWorld(single(), { workers: 2 });
  const { told, wait } = createWaits(now);
  const [one, other] = workers as [Places, Places];
  assert.equal(one.take(requestOf(), now()), 0);
  assert.equal(other.take(requestOf(), now()), NO_PLACE.full);
  one.release(0, now()); // nobody waits yet, so nobody is told
  wait(other, "a");
  assert.deepEqual(told, []);
  await turn();
  assert.deepEqual(told, [{ name: "a", row: 0 }]);
});

test("a place given back by another worker wakes who waits, by the event loop", async () => {
  const { workers, now } = createPoolWorld(single(), { workers: 2 });
  const [one, other] = workers as [Places, Places];
  one.take(requestOf(), now());
  const row = new Promise<number>((resolve) => other.wait(requestOf(), now(), resolve));
  await turn(); // it sleeps
  one.release(0, now());
  assert.equal(await row, 0);
});

test("a place given back by another worker is found by tick(), without the event loop", () => {
  const { workers, now } = createPoolWorld(single(), { workers: 2 });
  const { told, wait } = createWaits(now);
  const [one, other] = workers as [Places, Places];
  one.take(requestOf(), now());
  wait(other, "a");
  other.tick(now());
  assert.deepEqual(told, []);
  one.release(0, now());
  other.tick(now());
  assert.deepEqual(told, [{ name: "a", row: 0 }]);
});

test("one place is granted once, though both workers and all paths ask for it", async () => {
  const { workers, now, table } = createPoolWorld(single(), { workers: 2 });
  const { told, wait } = createWaits(now);
  const [one, other] = workers as [Places, Places];
  one.take(requestOf(), now());
  for (const name of ["a", "b"]) for (const each of workers) wait(each, name);
  await turn();
  one.release(0, now());
  other.tick(now());
  one.tick(now());
  await turn();
  await turn();
  assert.equal(told.length, 1);
  assert.equal(activeAt(table, 0), 1);
});

test("who waits is served when a backend comes back, or a limit is raised", () => {
  const world = createPoolWorld(poolOf([backendAt(0, { maxConnections: 1 }), backendAt(1, { maxConnections: 1 })]));
  const { places, take, now, table, clock } = world;
  const { told, wait } = createWaits(now);
  publish(table, { 1: "down" });
  take();
  wait(places, "a");
  wait(places, "b");
  publish(table, { 1: "active" });
  places.tick(now());
  assert.deepEqual(told, [{ name: "a", row: 1 }]);
  places.apply(poolOf([backendAt(0, { maxConnections: 2 })]));
  clock.advance(50);
  places.tick(now());
  assert.deepEqual(told.at(-1), { name: "b", row: 0 });
});

test("who waits is told when nobody is left to wait for", () => {
  const { places, take, now, table } = createPoolWorld(single());
  const { told, wait } = createWaits(now);
  take();
  wait(places, "a");
  publish(table, { 0: "maint" });
  places.tick(now());
  assert.deepEqual(told, [{ name: "a", row: NO_PLACE.none }]);
});

test("a retry that waits for the others does not hold up those behind it", () => {
  const backends = [backendAt(0, { maxConnections: 1 }), backendAt(1, { maxConnections: 1 })];
  const { places, take, now } = createPoolWorld(poolOf(backends));
  const { told, wait } = createWaits(now);
  take();
  take();
  wait(places, "retry", [0]);
  wait(places, "first");
  places.release(0, now());
  assert.deepEqual(told, [{ name: "first", row: 0 }]);
  places.release(1, now());
  assert.deepEqual(told.at(-1), { name: "retry", row: 1 });
});

test("callbacks may give back, take and wait", () => {
  const { places, take, now, table } = createPoolWorld(single());
  const order: string[] = [];
  take();
  for (const name of ["a", "b", "c"])
    places.wait(requestOf(), now(), (row) => {
      order.push(name);
      if (name === "a") places.wait(requestOf(), now(), () => order.push("again"));
      places.release(row, now());
    });
  places.release(0, now());
  assert.deepEqual(order, ["a", "b", "c", "again"]);
  assert.deepEqual([queuedWord(table), places.queued(), activeAt(table, 0)], [0, 0, 1]);
});

test("thousands who wait may each give back from inside their callback", () => {
  const { places, take, now, table } = createPoolWorld(single(10_000));
  take();
  let served = 0;
  for (let count = 0; count < 10_000; count++)
    places.wait(requestOf("c"), now(), (row) => {
      served++;
      places.release(row, now());
    });
  places.release(0, now());
  assert.deepEqual([served, queuedWord(table), activeAt(table, 0)], [10_000, 0, 0]);
});

test("a place that comes free is offered to the first, and not to all thousands behind", () => {
  let picks = 0;
  const { places, take, now } = createPoolWorld(single(10_000), {
    createAlgorithm: (name, options) => {
      const algorithm = createAlgorithm(name, options);
      return {
        ...algorithm,
        pick(key, nowMs, tried) {
          picks++;
          return algorithm.pick(key, nowMs, tried);
        },
      };
    },
  });
  take();
  for (let count = 0; count < 1_000; count++) places.wait(requestOf("c"), now(), () => {});
  picks = 0;
  places.release(0, now());
  assert.ok(picks < 10, `${picks} picks`);
});

test("the count of who waits moves with the pool's first backend", () => {
  const { places, take, now, table, counter } = createPoolWorld(single());
  const { wait } = createWaits(now);
  take();
  wait(places, "a");
  publish(table, { 1: "active" });
  places.apply(poolOf([backendAt(1, { maxConnections: 1 }), backendAt(0, { maxConnections: 1 })]));
  assert.deepEqual(
    [0, 1].map((row) => wordAt(table, row, "queued")),
    [0, 1],
  );
  assert.deepEqual(
    [0, 1].map((row) => counter(row, "queued")),
    [0, 1],
  );
  places.apply(poolOf([]));
  assert.deepEqual(
    [0, 1].map((row) => wordAt(table, row, "queued")),
    [0, 0],
  );
  places.close();
});

test("close() tells all who wait, and counts nobody any more", async () => {
  const { places, take, now, table } = createPoolWorld(single());
  const { told, wait } = createWaits(now);
  take();
  wait(places, "a");
  await turn();
  places.close();
  assert.deepEqual(told, [{ name: "a", row: NO_PLACE.none }]);
  assert.equal(queuedWord(table), 0);
  wait(places, "late");
  await turn();
  assert.deepEqual(told.at(-1), { name: "late", row: NO_PLACE.queueFull });
});
