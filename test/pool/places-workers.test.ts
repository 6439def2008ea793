/** Two threads over one backend table: limits are never passed, nobody who waits is forgotten, nothing is left over. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { createBackendCounters, createBackendTable } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { PlacesJob } from "./places-worker.ts";
import { activeAt, publish, wordAt } from "./pool-fixture.ts";
import { backendAt, poolOf } from "./specs.ts";

const ROWS = 8;

function createThreads(context: TestContext, spec: PoolSpec, rounds: number) {
  const table = createBackendTable(ROWS);
  publish(table, Object.fromEntries(spec.backends.map(({ target }) => [target, "active" as const])));
  const standing = new Int32Array(new SharedArrayBuffer(4 * ROWS));
  const gate = new Int32Array(new SharedArrayBuffer(8));
  let seed = 0;
  const start = <Result>(job: PlacesJob["job"]): { done: Promise<Result>; counters: Float64Array } => {
    const counters = createBackendCounters(ROWS);
    const workerData: PlacesJob = { job, seed: ++seed, spec, table, counters, standing, gate, rounds };
    const worker = new Worker(new URL("./places-worker.ts", import.meta.url), { workerData });
    context.after(() => worker.terminate());
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    worker.once("message", resolve);
    worker.once("error", reject);
    return { done: promise, counters };
  };
  return { table, standing, gate, start };
}
function assertNothingLeft(table: Int32Array): void {
  for (let row = 0; row < ROWS; row++) {
    assert.equal(activeAt(table, row), 0, `connections at row ${row}`);
    assert.equal(wordAt(table, row, "queued"), 0, `waits at row ${row}`);
  }
}

for (const algorithm of ["p2c", "maglev"] as const) {
  test(`two workers with ${algorithm} never pass the limits of backends`, async (context) => {
    const spec = poolOf([backendAt(0, { maxConnections: 1 }), backendAt(1, { maxConnections: 3 })], { algorithm });
    const { table, standing, start } = createThreads(context, spec, 200_000);
    type Result = { full: number; most: number };
    const results = await Promise.all([start<Result>("hammer").done, start<Result>("hammer").done]);
    assert.ok(results.every(({ full }) => full > 0) && results.some(({ most }) => most === 3), "they did get there");
    assertNothingLeft(table);
    assert.deepEqual([...standing], new Array(ROWS).fill(0));
  });
}

for (const job of ["wait", "wait-without-loop"] as const) {
  test(`a place given back in one thread goes to who waits in another: ${job}`, async (context) => {
    const spec = poolOf([backendAt(0, { maxConnections: 1 })], { queue: { max: 10, timeoutMs: 60_000 } });
    const { table, gate, start } = createThreads(context, spec, 0);
    const holder = start<{ row: number }>("hold");
    const ready = Atomics.waitAsync(gate, 0, 0);
    if (ready.async) await Promise.race([ready.value, holder.done]);
    const waiter = start<{ row: number }>(job);
    assert.deepEqual(await waiter.done, { row: 0 });
    await holder.done;
    assert.equal(activeAt(table, 0), 1);
    assert.equal(wordAt(table, 0, "queued"), 0);
  });
}

test("everybody who waits is served, though places come free in two threads at once", async (context) => {
  const spec = poolOf([backendAt(0, { maxConnections: 2 }), backendAt(1, { maxConnections: 1 })], {
    queue: { max: 100, timeoutMs: 60_000 },
  });
  const { table, start } = createThreads(context, spec, 2_000);
  type Result = { refused: number; queued: number; most: number };
  const results = await Promise.all([start<Result>("queue").done, start<Result>("queue").done]);
  for (const { refused, queued } of results) assert.deepEqual({ refused, queued }, { refused: 0, queued: 0 });
  assertNothingLeft(table);
});
