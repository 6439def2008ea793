/** Clients come back to the backend that they had: on every worker, over changes, and between nodes by a store. */
import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createAlgorithm } from "#balance/table.ts";
import { NO_PLACE, type Places, type StickyStore } from "#pool/place.ts";
import { createStickyTable } from "#pool/sticky-memory.ts";
import type { StickySpec } from "#state/balancer.ts";
import { activeAt, createPoolWorld, newClient, publish, requestOf, type StateName } from "./pool-fixture.ts";
import { backendAt, poolOf, stickyBySource } from "./specs.ts";

const backends = [0, 1, 2, 3].map((row) => backendAt(row));
const sticky = (changes: Partial<StickySpec> = {}, more: Parameters<typeof poolOf>[1] = {}) =>
  poolOf(backends, { sticky: stickyBySource(changes), ...more });
const twoWorkers = (spec = sticky()) => createPoolWorld(spec, { workers: 2, stickyTable: createStickyTable(10_000) });
const CLIENTS = Array.from({ length: 200 }, newClient);

/** The one backend that all workers give each client. */
function rowsOf(workers: readonly Places[], nowMs: number): number[] {
  return CLIENTS.map((client, index) => {
    const first = index % workers.length;
    const rows = workers.map((_, offset) => workers[(first + offset) % workers.length]!.take(requestOf(client), nowMs));
    assert.ok(rows[0]! >= 0);
    assert.equal(new Set(rows).size, 1, `${client} had ${rows}`);
    return rows[0]!;
  });
}
const moved = (before: readonly number[], after: readonly number[]): number =>
  before.filter((row, index) => row !== after[index]).length;

test("a client gets one backend, whichever worker it comes to, and clients are spread by the algorithm", () => {
  const { workers, now, table } = twoWorkers();
  rowsOf(workers, now());
  for (const { target } of backends)
    assert.ok(activeAt(table, target) >= 40, `${activeAt(table, target)} at ${target}`);
});

test("a client that two workers meet in the same moment gets the backend of the faster one", () => {
  let between = (): void => {};
  const { workers, now, table } = createPoolWorld(sticky({}, { algorithm: "random" }), {
    workers: 2,
    stickyTable: createStickyTable(100),
    // What happens after a worker found nothing remembered, and before it has chosen.
    createAlgorithm(name, options) {
      const algorithm = createAlgorithm(name, options);
      return {
        ...algorithm,
        pick(key, nowMs, tried) {
          const meanwhile = between;
          between = () => {};
          meanwhile();
          return algorithm.pick(key, nowMs, tried);
        },
      };
    },
  });
  const [one, other] = workers as [Places, Places];
  for (let count = 0; count < 10; count++) {
    const client = newClient();
    let faster = -1;
    between = () => {
      faster = other.take(requestOf(client), now());
    };
    assert.equal(one.take(requestOf(client), now()), faster);
  }
  assert.equal(
    backends.reduce((sum, { target }) => sum + activeAt(table, target), 0),
    20,
    "places of the choice that did not count were given back",
  );
});

test("clients stay where they are when backends are added, also on a worker that has not met them", () => {
  const { workers, now, table } = twoWorkers();
  const before = CLIENTS.map((client) => workers[0]!.take(requestOf(client), now()));
  publish(table, { 9: "active" });
  for (const each of workers) each.apply(poolOf([backendAt(9), ...backends], { sticky: stickyBySource() }));
  const after = CLIENTS.map((client) => workers[1]!.take(requestOf(client), now()));
  assert.deepEqual(after, before);
});

test("only the clients of a backend that goes down move, and do not move back", () => {
  const { workers, now, table } = twoWorkers();
  const before = rowsOf(workers, now());
  publish(table, { 2: "down" });
  const during = rowsOf(workers, now());
  assert.equal(during.includes(2), false);
  assert.equal(moved(before, during), before.filter((row) => row === 2).length);
  publish(table, { 2: "active" });
  assert.deepEqual(rowsOf(workers, now()), during);
});

test("only the clients of a backend that is removed move; its row may be given to another backend", () => {
  const { workers, now, table } = twoWorkers();
  const before = rowsOf(workers, now());
  const next = [...backends.slice(0, 3), backendAt(3, { key: "10.0.0.99:80" })];
  publish(table, { 3: "active" });
  for (const each of workers) each.apply(poolOf(next, { sticky: stickyBySource() }));
  const after = rowsOf(workers, now());
  const stayed = before.map((row, index) => (row === 3 ? undefined : after[index]));
  assert.deepEqual(
    stayed,
    before.map((row) => (row === 3 ? undefined : row)),
  );
  assert.ok(after.filter((row, index) => before[index] === 3 && row !== 3).length > 0, "new picks, not the old row");
});

for (const { name, state, others, spec, isKept } of [
  { name: "an active one", state: "active", others: "active", spec: sticky(), isKept: true },
  { name: "an active one without weight", state: ["active", 0], others: "active", spec: sticky(), isKept: true },
  { name: "a draining one, by default", state: "drain", others: "active", spec: sticky(), isKept: false },
  {
    name: "a draining one, if told so",
    state: "drain",
    others: "active",
    spec: sticky({ duringDrain: true }),
    isKept: true,
  },
  { name: "one in maintenance", state: "maint", others: "active", spec: sticky({ duringDrain: true }), isKept: false },
  { name: "one that is down", state: "down", others: "active", spec: sticky(), isKept: false },
  { name: "an ejected one", state: "ejected", others: "active", spec: sticky(), isKept: false },
  { name: "one that is not probed yet", state: "unknown", others: "active", spec: sticky(), isKept: false },
  { name: "one that is not probed yet, as all", state: "unknown", others: "unknown", spec: sticky(), isKept: true },
  { name: "one that is down, as all", state: "down", others: "down", spec: sticky(), isKept: true },
  {
    name: "one that is down, in panic",
    state: "down",
    others: "active",
    spec: sticky({}, { panicPercent: 100 }),
    isKept: true,
  },
] as const satisfies readonly {
  name: string;
  state: StateName | readonly [StateName, number];
  others: StateName;
  spec: ReturnType<typeof sticky>;
  isKept: boolean;
}[]) {
  test(`a client ${isKept ? "keeps" : "does not keep"} its backend: ${name}`, () => {
    const { take, table, places, now } = createPoolWorld(spec);
    const had = take("192.0.2.7");
    places.release(had, now());
    publish(table, Object.fromEntries(backends.map(({ target }) => [target, target === had ? state : others])));
    const rows = new Set(Array.from({ length: 20 }, () => take("192.0.2.7")));
    assert.equal(rows.size, 1, "in any case it has one");
    assert.equal(rows.has(had), isKept);
  });
}

test("a client whose backend is full gets another one, and keeps that", () => {
  const spec = poolOf([backendAt(0, { maxConnections: 1 }), backendAt(1)], {
    sticky: stickyBySource(),
    algorithm: "first",
  });
  const { take, places, now } = createPoolWorld(spec);
  assert.equal(take("c"), 0);
  assert.equal(take("c"), 1);
  places.release(0, now());
  assert.equal(take("c"), 1);
});

test("a client of a draining backend comes back to it past those who wait for the others", () => {
  const spec = poolOf([backendAt(0), backendAt(1, { maxConnections: 1 })], {
    sticky: stickyBySource({ duringDrain: true }),
    algorithm: "first",
  });
  const { take, places, now, table } = createPoolWorld(spec);
  assert.equal(take("c"), 0);
  publish(table, { 0: "drain" });
  assert.equal(take(), 1);
  assert.equal(take("new"), NO_PLACE.full);
  places.wait(requestOf("new"), now(), () => {});
  assert.equal(take("c"), 0);
  assert.equal(take("other"), NO_PLACE.full);
});

test("a client whose backend fails gets another one, and keeps that", () => {
  const { take } = createPoolWorld(sticky());
  const had = take("c");
  const next = take("c", [had]);
  assert.notEqual(next, had);
  assert.equal(take("c"), next);
});

test("a client is forgotten when it stays away for longer than `ttl`", () => {
  const { take, clock, places, now } = createPoolWorld(sticky({ ttlMs: 60_000 }, { algorithm: "least_connections" }));
  const had = take("c");
  clock.advance(59_000);
  assert.equal(take("c"), had);
  clock.advance(61_000);
  assert.notEqual(take("c"), had, "least connections has no reason to take it again");
  places.release(had, now());
});

test("a pool becomes sticky, and not sticky, while it runs", () => {
  const { places, take } = createPoolWorld(sticky({}, { sticky: undefined, algorithm: "round_robin" }));
  const spread = () => new Set(Array.from({ length: 8 }, () => take("c"))).size;
  assert.equal(spread(), 4);
  places.apply(sticky({}, { algorithm: "round_robin" }));
  assert.equal(spread(), 1);
  places.apply(sticky({}, { sticky: undefined, algorithm: "round_robin" }));
  assert.equal(spread(), 4);
});

test("apply() takes another shared table, and keeps the one it has where none is given", () => {
  const { workers, now } = twoWorkers();
  const [one, other] = workers as [Places, Places];
  const had = one.take(requestOf("c"), now());
  one.apply(sticky());
  assert.equal(one.take(requestOf("c"), now()), had);
  const table = createStickyTable(10);
  for (const each of workers) each.apply(sticky({}, { algorithm: "first" }), table);
  assert.equal(one.take(requestOf("c"), now()), 0);
  assert.equal(other.take(requestOf("c"), now()), 0);
});

// ── the shared store ─────────────────────────────────────────────────────────────────────────────────────────────

function createTestStore() {
  const values = new Map<string, string>();
  const asked: string[] = [];
  const state = { isAway: false };
  const store: StickyStore = {
    get(key, ttlMs) {
      asked.push(`${key} ${ttlMs}`);
      return state.isAway ? new Promise(() => {}) : Promise.resolve(values.get(key));
    },
    put(key, backendKey, ttlMs) {
      assert.ok(ttlMs > 0);
      values.set(key, backendKey);
    },
  };
  return { store, values, asked, state };
}
const shared = (changes: Parameters<typeof poolOf>[1] = {}) => sticky({ store: "redis" }, changes);
async function remembered(places: Places, client: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (!places.remember(requestOf(client), resolve)) resolve();
  await promise;
}

test("remember() has nothing to look up without a store, or for pools that do not use it", () => {
  const { store, asked } = createTestStore();
  for (const places of [
    createPoolWorld(sticky(), { sticky: store }).places,
    createPoolWorld(poolOf(backends), { sticky: store }).places,
    createPoolWorld(shared()).places,
  ])
    assert.equal(places.remember(requestOf("c"), assert.fail), false);
  assert.deepEqual(asked, []);
});

test("a client gets the same backend on two nodes", async () => {
  const { store, values, asked } = createTestStore();
  const nodes = [1, 2].map((seed) => createPoolWorld(shared(), { sticky: store, seed }));
  for (const client of CLIENTS.slice(0, 50)) {
    const rows: number[] = [];
    for (const { places, take } of nodes) {
      await remembered(places, client);
      rows.push(take(client));
    }
    assert.equal(new Set(rows).size, 1, `${client} had ${rows}`);
    assert.equal(values.get(`web:${client}`), backends[rows[0]!]!.key);
  }
  assert.equal(asked[0], `web:${CLIENTS[0]} 3600000`);
});

test("a client whose backend is gone on one node gets the new one on the other", async () => {
  const { store } = createTestStore();
  const [one, other] = [1, 2].map((seed) => createPoolWorld(shared(), { sticky: store, seed })) as [
    ReturnType<typeof createPoolWorld>,
    ReturnType<typeof createPoolWorld>,
  ];
  const had = one.take("c");
  await remembered(other.places, "c");
  assert.equal(other.take("c"), had);
  publish(one.table, { [had]: "down" });
  await remembered(one.places, "c");
  const next = one.take("c");
  assert.notEqual(next, had);
  await remembered(other.places, "c");
  assert.equal(other.take("c"), next);
});

test("what the store says of a backend that this pool does not have is passed over", async () => {
  const { store, values } = createTestStore();
  const { places, take } = createPoolWorld(shared(), { sticky: store });
  values.set("web:c", "10.9.9.9:80");
  await remembered(places, "c");
  const row = take("c");
  assert.equal(values.get("web:c"), backends[row]!.key);
});

test("what was chosen while the store was away, or what it has lost, is told to it when the client comes again", async () => {
  const { store, values } = createTestStore();
  const [one, other] = [1, 2].map((seed) => createPoolWorld(shared(), { sticky: store, seed })) as [
    ReturnType<typeof createPoolWorld>,
    ReturnType<typeof createPoolWorld>,
  ];
  for (const client of CLIENTS.slice(0, 20)) {
    const had = one.take(client);
    values.clear();
    await remembered(one.places, client);
    assert.equal(values.get(`web:${client}`), backends[had]!.key);
    await remembered(other.places, client);
    assert.equal(other.take(client), had);
  }
});

test("the store learns what a field says of clients by a hash alone, the same on every node", async () => {
  const { store, values } = createTestStore();
  const spec = sticky({ store: "redis", by: { header: "x-session" } });
  const nodes = [1, 2].map((seed) => createPoolWorld(spec, { sticky: store, seed }));
  const rows: number[] = [];
  for (const { places, take } of nodes) {
    await remembered(places, "Bearer secret {tag}");
    rows.push(take("Bearer secret {tag}"));
  }
  assert.equal(rows[0], rows[1]);
  assert.equal(values.size, 1);
  assert.match([...values.keys()][0]!, /^web:[A-Za-z0-9_-]{32}$/);
});

test("a store that is away costs nobody a connection: the process goes on by what it remembers", async () => {
  const { store, state } = createTestStore();
  const { places, take, clock, now } = createPoolWorld(shared(), { sticky: store });
  const had = take("c");
  state.isAway = true;
  let calls = 0;
  assert.equal(
    places.remember(requestOf("c"), () => calls++),
    true,
  );
  clock.advance(49);
  places.tick(now());
  assert.equal(calls, 0);
  clock.advance(1);
  places.tick(now());
  assert.equal(calls, 1);
  assert.equal(take("c"), had);
  places.remember(requestOf("c"), () => calls++);
  places.close();
  await turn();
  assert.equal(calls, 2, "once each");
});
