/** Taking and giving back places: limits, tiers and zones, breakers, retries, epochs, other configurations, counters. */
import assert from "node:assert/strict";
import test from "node:test";
import { NO_PLACE } from "#pool/place.ts";
import { ALGORITHMS } from "#state/balancer.ts";
import { activeAt, createPoolWorld, publish, requestOf, wordAt } from "./pool-fixture.ts";
import { backendAt, poolOf } from "./specs.ts";

const three = [backendAt(0), backendAt(1), backendAt(2)];
const NO_QUEUE = { max: 0, timeoutMs: 0 };

for (const algorithm of ALGORITHMS) {
  test(`take() with ${algorithm} gives places at all that are active, and at nobody else`, () => {
    const { table, take } = createPoolWorld(poolOf([...three, backendAt(3)], { algorithm }));
    publish(table, { 2: "down", 3: "drain" });
    for (let count = 0; count < 200; count++) take();
    assert.equal(activeAt(table, 0) + activeAt(table, 1), 200);
    assert.equal(activeAt(table, 2) + activeAt(table, 3), 0);
    if (algorithm !== "first") assert.ok(activeAt(table, 0) > 20 && activeAt(table, 1) > 20);
  });

  test(`take() with ${algorithm} fills all that have room, and then says that all are full`, () => {
    const backends = three.map((backend) => ({ ...backend, maxConnections: 5 }));
    const { table, take, places, now } = createPoolWorld(poolOf(backends, { algorithm }));
    for (let count = 0; count < 15; count++) assert.ok(take() >= 0);
    assert.deepEqual(
      three.map(({ target }) => activeAt(table, target)),
      [5, 5, 5],
    );
    assert.equal(take(), NO_PLACE.full);
    places.release(1, now());
    assert.equal(take(), 1);
  });

  test(`take() with ${algorithm} gives each retry another backend`, () => {
    const { take } = createPoolWorld(poolOf(three, { algorithm }));
    const first = take("192.0.2.7");
    const second = take("192.0.2.7", [first]);
    const third = take("192.0.2.7", [first, second]);
    assert.deepEqual([first, second, third].sort(), [0, 1, 2]);
  });
}

test("take() goes to the next tier when nobody before has room, and comes back", () => {
  const backends = [backendAt(0, { maxConnections: 1 }), backendAt(1, { priority: 1 })];
  const { take, places, now, table } = createPoolWorld(poolOf(backends));
  assert.deepEqual([take(), take(), take()], [0, 1, 1]);
  places.release(0, now());
  assert.equal(take(), 0);
  publish(table, { 0: "down" });
  assert.equal(take(), 1);
});

test("take() prefers the own zone of a tier, where the pool says so", () => {
  const backends = [
    backendAt(0, { zone: "a", maxConnections: 3 }),
    backendAt(1, { zone: "b" }),
    backendAt(2, { zone: "a", priority: 1 }),
  ];
  const local = createPoolWorld(poolOf(backends, { prefersLocalZone: true }), { zone: "a" });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => local.take()),
    [0, 0, 0, 1, 1],
    "the other zone before the other tier",
  );
  const anywhere = createPoolWorld(poolOf(backends, { prefersLocalZone: true }));
  const off = createPoolWorld(poolOf(backends), { zone: "b" });
  for (const world of [anywhere, off]) {
    const rows = new Set(Array.from({ length: 3 }, () => world.take()));
    assert.deepEqual([...rows].sort(), [0, 1]);
  }
});

test("take() keeps tiers and limits with more full backends than the ranking is asked for", () => {
  const backends = Array.from({ length: 200 }, (_, row) =>
    backendAt(row, { maxConnections: 1, priority: row >= 100 ? 1 : 0 }),
  );
  const { take } = createPoolWorld(poolOf(backends), { rows: 256 });
  const rows = Array.from({ length: 200 }, () => take());
  assert.ok(rows.slice(0, 100).every((row) => row < 100));
  assert.deepEqual(
    rows.toSorted((a, b) => a - b),
    backends.map(({ target }) => target),
  );
  assert.equal(take(), NO_PLACE.full);
});

test("take() says `none` where nobody may serve, and for a pool without backends", () => {
  const world = createPoolWorld(poolOf(three, { isFailOpen: false }));
  publish(world.table, { 0: "down", 1: "maint", 2: "drain" });
  assert.equal(world.take(), NO_PLACE.none);
  assert.equal(createPoolWorld(poolOf([])).take(), NO_PLACE.none);
});

test("take() fails open, over those that are down and ejected alone", () => {
  const { table, take } = createPoolWorld(poolOf([...three, backendAt(3)]));
  publish(table, { 0: "down", 1: "ejected", 2: "maint", 3: "drain" });
  const rows = new Set(Array.from({ length: 50 }, () => take()));
  assert.deepEqual([...rows].sort(), [0, 1]);
});

test("take() sees another state and weight as soon as the epoch has moved on", () => {
  const { table, take } = createPoolWorld(poolOf(three, { algorithm: "weighted_round_robin" }));
  publish(table, { 0: ["active", 3], 1: ["active", 1], 2: "down" });
  const counts = [0, 0, 0];
  for (let count = 0; count < 400; count++) counts[take()]! += 1;
  assert.deepEqual(counts, [300, 100, 0]);
  publish(table, { 0: "maint", 1: "maint", 2: "unknown" });
  assert.equal(take(), 2);
});

// ── retries ──────────────────────────────────────────────────────────────────────────────────────────────────────

test("take() ends retries with the number of attempts, and where all were tried", () => {
  const { take } = createPoolWorld(
    poolOf(three, { retry: { attempts: 2, budgetPercent: 100, minPerSecond: 10, windowMs: 10_000 } }),
  );
  assert.ok(take("c", [0]) > 0);
  assert.equal(take("c", [0, 1]), NO_PLACE.none);
  const two = createPoolWorld(poolOf(three.slice(0, 2)));
  assert.equal(two.take("c", [0, 1]), NO_PLACE.none);
});

test("take() refuses retries beyond the budget, and never a first try", () => {
  const { take, clock } = createPoolWorld(
    poolOf(three, { retry: { attempts: 3, budgetPercent: 20, minPerSecond: 1, windowMs: 10_000 } }),
  );
  for (let count = 0; count < 100; count++) assert.ok(take() >= 0);
  const retries = Array.from({ length: 30 }, () => take("c", [0]));
  assert.deepEqual(
    retries.map((row) => row >= 0),
    retries.map((_, index) => index < 25), // of 125 tries
  );
  assert.equal(retries.at(-1), NO_PLACE.budget);
  assert.ok(take() >= 0);
  clock.advance(10_000);
  assert.ok(take("c", [0]) >= 0, "the minimum: one a second");
});

test("take() passes over tried rows that are of another configuration", () => {
  const { take, places, table } = createPoolWorld(poolOf(three));
  publish(table, { 5: "active" });
  places.apply(poolOf([backendAt(5)]));
  assert.equal(take("c", [0]), 5);
});

// ── breakers ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("take() passes over a backend whose breaker is open, then sends one, then all of its share", () => {
  const { table, take, places, clock, now } = createPoolWorld(
    poolOf([backendAt(0), backendAt(1)], { algorithm: "first" }),
  );
  for (let count = 0; count < 5; count++) {
    const row = take();
    assert.equal(row, 0);
    places.failed(row, "refused", now());
    places.release(row, now());
  }
  assert.equal(take(), 1);
  clock.advance(1_000);
  assert.deepEqual([take(), take()], [0, 1], "one on probation");
  places.connected(0, 500, now());
  assert.deepEqual([take(), take()], [0, 0]);
  assert.equal(wordAt(table, 0, "failuresInARow"), 0);
});

test("take() gives a backend with an open breaker where nobody else is left", () => {
  const { take, places, now } = createPoolWorld(poolOf(three, { algorithm: "first" }));
  for (const row of [0, 1, 2]) for (let count = 0; count < 5; count++) places.failed(row, "timeout", now());
  assert.ok(take() >= 0);
  const first = take("c");
  assert.notEqual(take("c", [first]), first);
});

for (const [name, queue, expected] of [
  ["waits for the others where there is a queue", { max: 10, timeoutMs: 1_000 }, NO_PLACE.full],
  ["is used before anybody is refused where there is none", NO_QUEUE, 0],
] as const) {
  test(`take() with an open breaker while the others are full ${name}`, () => {
    const backends = [backendAt(0), backendAt(1, { maxConnections: 1 })];
    const { take, places, now } = createPoolWorld(poolOf(backends, { queue, algorithm: "first" }));
    for (let count = 0; count < 5; count++) places.failed(0, "refused", now());
    assert.equal(take(), 1);
    assert.equal(take(), expected);
  });
}

test("breakers are each worker's own", () => {
  const { workers, table, now } = createPoolWorld(poolOf([backendAt(0), backendAt(1)], { algorithm: "first" }), {
    workers: 2,
  });
  for (let count = 0; count < 5; count++) workers[0]!.failed(0, "refused", now());
  assert.equal(workers[0]!.take(requestOf(), now()), 1);
  assert.equal(workers[1]!.take(requestOf(), now()), 0);
  assert.equal(wordAt(table, 0, "failuresInARow"), 5, "and the keeper sees the failures of all");
});

test("a backend that becomes active again is not held back by its breaker", () => {
  const { table, take, places, clock, now } = createPoolWorld(
    poolOf([backendAt(0), backendAt(1)], { algorithm: "first" }),
  );
  for (let count = 0; count < 5; count++) places.failed(0, "refused", now());
  publish(table, { 1: ["active", 2] });
  assert.equal(take(), 1, "another one's change says nothing of it");
  publish(table, { 0: "down" });
  assert.equal(take(), 1);
  publish(table, { 0: "active" });
  places.tick(now());
  clock.advance(1);
  assert.deepEqual([take(), take()], [0, 0]);
});

test("a backend that comes back with another configuration is not held back by its breaker", () => {
  const { table, take, places, now } = createPoolWorld(poolOf(three, { algorithm: "first" }));
  places.apply(poolOf([backendAt(0, { isEnabled: false }), backendAt(1)], { algorithm: "first" }));
  for (let count = 0; count < 5; count++) places.failed(0, "refused", now());
  assert.equal(take(), 1);
  publish(table, { 0: "active" });
  places.apply(poolOf(three, { algorithm: "first" }));
  assert.equal(take(), 0);
});

// ── other configurations ─────────────────────────────────────────────────────────────────────────────────────────

test("apply() leaves places that are taken valid, also at backends that are gone", () => {
  const { table, take, places, now, counter } = createPoolWorld(poolOf([backendAt(0)]));
  assert.equal(take(), 0);
  assert.equal(take(), 0);
  places.apply(poolOf([backendAt(1)]));
  assert.equal(places.backend(0)?.key, "10.0.0.0:80");
  places.connected(0, 900, now());
  places.firstOctet(0, 900, now());
  places.failed(0, "reset", now());
  places.release(0, now());
  assert.equal(places.backend(0)?.key, "10.0.0.0:80", "one is left");
  places.release(0, now());
  assert.equal(places.backend(0), undefined);
  assert.deepEqual([activeAt(table, 0), counter(0, "active"), counter(0, "resets")], [0, 0, 1]);
});

test("apply() takes other limits, algorithms and backends for new connections", () => {
  const { take, places, table } = createPoolWorld(poolOf(three));
  places.apply(poolOf([backendAt(1, { maxConnections: 2 })], { algorithm: "maglev", queue: NO_QUEUE }));
  assert.deepEqual([take(), take(), take()], [1, 1, NO_PLACE.full]);
  publish(table, { 4: "active" });
  places.apply(poolOf([backendAt(4), backendAt(1)], { algorithm: "first" }));
  assert.equal(take(), 4);
  assert.equal(places.spec.algorithm, "first");
});

test("apply() keeps what is known of backends that stay: turns of round robin, open breakers", () => {
  const { take, places, now } = createPoolWorld(poolOf(three, { algorithm: "first" }));
  for (let count = 0; count < 5; count++) places.failed(0, "refused", now());
  places.apply(poolOf([...three, backendAt(3)], { algorithm: "first" }));
  assert.equal(take(), 1);
});

test("apply() forgets breakers of backends that are gone", () => {
  const { take, places, now } = createPoolWorld(poolOf(three, { algorithm: "first" }));
  for (let count = 0; count < 5; count++) places.failed(0, "refused", now());
  places.apply(poolOf(three.slice(1), { algorithm: "first" }));
  places.apply(poolOf(three, { algorithm: "first" }));
  assert.equal(take(), 0);
});

// ── what is counted ──────────────────────────────────────────────────────────────────────────────────────────────

test("places count what befalls a backend, by worker", () => {
  const { workers, places, counter, now, table } = createPoolWorld(poolOf([backendAt(0)]), { workers: 2 });
  const other = workers[1]!;
  for (const each of [places, places, other]) each.take(requestOf(), now());
  places.connected(0, 300, now());
  places.connected(0, 500, now());
  other.connected(0, 100, now());
  for (const fault of ["refused", "timeout", "unreachable", "other", "reset"] as const) places.failed(0, fault, now());
  const names = ["active", "connections", "connect_micros", "successes", "failures"] as const;
  assert.deepEqual(
    [0, 1].map((worker) => names.map((name) => counter(0, name, worker))),
    [
      [2, 2, 800, 2, 5],
      [1, 1, 100, 1, 0],
    ],
  );
  const faults = ["connect_refused", "connect_timeout", "connect_error", "resets"] as const;
  assert.deepEqual(
    faults.map((name) => counter(0, name)),
    [1, 1, 2, 1],
  );
  assert.equal(activeAt(table, 0), 3);
  assert.equal(wordAt(table, 0, "failuresInARow"), 5);
});

test("a retry is counted at the backend that it left", () => {
  const { take, counter } = createPoolWorld(poolOf(three, { algorithm: "first" }));
  assert.equal(take("c", [0]), 1);
  assert.deepEqual([counter(0, "retries_away"), counter(1, "retries_away")], [1, 0]);
});

test("algorithms learn loads of all workers and times", () => {
  const { workers, now, table } = createPoolWorld(
    poolOf([backendAt(0), backendAt(1)], { algorithm: "least_connections" }),
    {
      workers: 2,
    },
  );
  const [one, other] = workers as [(typeof workers)[0], (typeof workers)[0]];
  for (let count = 0; count < 10; count++) assert.ok([one, other][count % 2]!.take(requestOf(), now()) >= 0);
  assert.ok(Math.abs(activeAt(table, 0) - activeAt(table, 1)) <= 1, `${activeAt(table, 0)} ${activeAt(table, 1)}`);
});

test("algorithms by latency leave a backend that is slow to connect", () => {
  const { take, places, now, table, clock } = createPoolWorld(
    poolOf([backendAt(0), backendAt(1)], { algorithm: "peak_ewma" }),
  );
  for (let count = 0; count < 200; count++) {
    const row = take();
    places.connected(row, row === 0 ? 200_000 : 500, now());
    clock.advance(10);
    places.release(row, now());
  }
  const rows = Array.from({ length: 50 }, () => {
    const row = take();
    places.release(row, now());
    return row;
  });
  assert.ok(rows.filter((row) => row === 1).length >= 45, String(rows));
  assert.equal(activeAt(table, 0), 0);
});

test("answered() counts responses by class, and 5xx and gateway failures in a row over all workers", () => {
  const { workers, table, now, counter } = createPoolWorld(poolOf(three), { workers: 2 });
  const inARow = () => [wordAt(table, 1, "fiveXxInARow"), wordAt(table, 1, "gatewayInARow")];
  for (const [at, status] of [500, 503, 502].entries()) workers[at % 2]!.answered(1, status, now());
  assert.deepEqual(inARow(), [3, 2]);
  workers[0]!.answered(1, 501, now());
  assert.deepEqual(inARow(), [4, 0]);
  for (const status of [101, 200, 304, 404]) workers[1]!.answered(1, status, now());
  assert.deepEqual(inARow(), [0, 0]);
  const counts = (["responses_1xx", "responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx"] as const).map(
    (name) => counter(1, name, 0) + counter(1, name, 1),
  );
  assert.deepEqual(counts, [1, 1, 1, 1, 4]);
  assert.equal(counter(1, "gateway_failures", 0) + counter(1, "gateway_failures", 1), 2);
});

test("answered() shows that connections work: the breaker closes, and failures are no longer in a row", () => {
  const { places, table, now } = createPoolWorld(
    poolOf([three[0]!, three[1]!], { breaker: { failures: 1, baseMs: 1_000, maxMs: 1_000 } }),
  );
  places.failed(0, "reset", now());
  assert.equal(wordAt(table, 0, "failuresInARow"), 1);
  places.answered(0, 500, now());
  assert.equal(wordAt(table, 0, "failuresInARow"), 0);
  const rows = new Set(Array.from({ length: 50 }, () => places.take(requestOf(), now())));
  assert.deepEqual([...rows].sort(), [0, 1]);
});

test("take() asks somebody again where nobody else is left, if the request says so, within attempts", () => {
  const { places, now } = createPoolWorld(poolOf([three[0]!]));
  assert.equal(places.take(requestOf("192.0.2.7", [0]), now()), NO_PLACE.none);
  assert.equal(places.take({ ...requestOf("192.0.2.7", [0]), mayRepeat: true }, now()), 0);
  assert.equal(places.take({ ...requestOf("192.0.2.7", [0, 0, 0]), mayRepeat: true }, now()), NO_PLACE.none);
  const two = createPoolWorld(poolOf([three[0]!, three[1]!]));
  for (let count = 0; count < 20; count++)
    assert.equal(two.places.take({ ...requestOf(undefined, [0]), mayRepeat: true }, two.now() + count * 1_000), 1);
});
