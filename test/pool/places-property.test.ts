/** Random lives of a pool, seeded: rules that hold after each step, whatever came before. */
import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createSeededRng } from "#base/rng.ts";
import { NO_PLACE, type PlaceFault, type Places } from "#pool/place.ts";
import { createStickyTable } from "#pool/sticky-memory.ts";
import { BACKEND_STATE_NAMES } from "#state/backend-table.ts";
import { ALGORITHMS, type BackendSpec, type PoolSpec } from "#state/balancer.ts";
import { activeAt, createPoolWorld, publish, requestOf, type StateName, wordAt } from "./pool-fixture.ts";
import { backendAt, poolOf, stickyBySource } from "./specs.ts";

const ROWS = 12;
const STEPS = 2_000;
const FAULTS: readonly PlaceFault[] = ["refused", "timeout", "unreachable", "reset", "other"];

for (const [seed, algorithm] of ALGORITHMS.entries()) {
  test(`places with ${algorithm} keep their rules through ${STEPS} random steps`, async () => {
    const rng = createSeededRng(seed + 1);
    const below = (limit: number): number => Math.floor(rng() * limit);
    const any = <Item>(items: readonly Item[]): Item => items[below(items.length)]!;
    const randomBackend = (row: number): BackendSpec =>
      backendAt(row, { weight: 1 + below(5), maxConnections: below(6), priority: below(2), zone: any(["a", "b"]) });
    const randomSpec = (): PoolSpec =>
      poolOf(
        Array.from({ length: ROWS }, (_, row) => row)
          .filter(() => rng() < 0.6)
          .map(randomBackend),
        {
          algorithm,
          prefersLocalZone: rng() < 0.5,
          panicPercent: any([0, 50, 100]),
          isFailOpen: rng() < 0.5,
          queue: { max: below(20), timeoutMs: 100 + below(1_000) },
          sticky: rng() < 0.5 ? stickyBySource({ duringDrain: true }) : undefined,
        },
      );
    let spec = randomSpec();
    const world = createPoolWorld(spec, { workers: 2, rows: ROWS, zone: "a", stickyTable: createStickyTable(100) });
    const { table, workers, clock, now } = world;
    const states = new Map<number, StateName>();
    /** Clients that had a place at a row: those may come back to it while it drains. */
    const had = new Map<string, Set<number>>();
    type Held = { worker: Places; row: number };
    const held: Held[] = [];
    const waits = new Set<() => void>();

    function publishRandom(): void {
      const change: Record<number, readonly [StateName, number]> = {};
      for (let row = 0; row < ROWS; row++) {
        if (rng() < 0.6) continue;
        const state = any(BACKEND_STATE_NAMES);
        states.set(row, state);
        change[row] = [state, rng() < 0.1 ? 0 : 0.5 + rng() * 4];
      }
      publish(table, change);
    }
    function granted(worker: Places, client: string, row: number): void {
      const backend = spec.backends.find(({ target }) => target === row);
      assert.ok(backend, `row ${row} is of another configuration`);
      assert.equal(worker.backend(row), backend);
      const state = states.get(row)!;
      assert.ok(state !== "maint" && state !== "none", `${client} was sent to a backend in ${state}`);
      if (state === "drain") assert.ok(had.get(client)?.has(row), `${client} is new to a draining backend`);
      had.set(client, (had.get(client) ?? new Set()).add(row));
      held.push({ worker, row });
    }
    function start(): void {
      const worker = any(workers);
      const client = `192.0.2.${below(60)}`;
      const tried = rng() < 0.2 ? [below(ROWS)] : [];
      const request = requestOf(client, tried);
      const row = worker.take(request, now());
      if (row >= 0) {
        assert.equal(tried.includes(row), false, "a retry goes elsewhere");
        granted(worker, client, row);
        return;
      }
      assert.ok(([NO_PLACE.none, NO_PLACE.full, NO_PLACE.budget] as number[]).includes(row));
      if (row !== NO_PLACE.full) return;
      let isTold = false;
      const stop = worker.wait(request, now(), (later) => {
        assert.equal(isTold, false, "told twice");
        assert.equal(waits.delete(stop), true, "told after it stopped waiting");
        isTold = true;
        if (later >= 0) granted(worker, client, later);
      });
      waits.add(stop);
    }
    function finish(): void {
      if (held.length === 0) return;
      const [{ worker, row }] = held.splice(below(held.length), 1) as [Held];
      if (rng() < 0.4) worker.failed(row, any(FAULTS), now());
      else worker.connected(row, 100 + below(10_000), now());
      worker.release(row, now());
    }
    function applyRandom(): void {
      spec = randomSpec();
      for (const worker of workers) worker.apply(spec);
    }
    function check(): void {
      for (let row = 0; row < ROWS; row++)
        assert.equal(activeAt(table, row), held.filter((each) => each.row === row).length, `connections at row ${row}`);
      const queued = workers.reduce((sum, worker) => sum + worker.queued(), 0);
      let words = 0;
      for (let row = 0; row < ROWS; row++) words += wordAt(table, row, "queued");
      if (spec.backends.length > 0) assert.equal(words, queued);
    }

    for (let row = 0; row < ROWS; row++) states.set(row, "none");
    for (const { target } of spec.backends) states.set(target, "active");
    for (let step = 0; step < STEPS; step++) {
      const dice = rng();
      if (dice < 0.5) start();
      else if (dice < 0.85) finish();
      else if (dice < 0.88) publishRandom();
      else if (dice < 0.89) applyRandom();
      else if (dice < 0.92) {
        const stop = waits.values().next().value;
        if (stop !== undefined) {
          waits.delete(stop);
          stop();
        }
      } else {
        clock.advance(below(200));
        for (const worker of workers) worker.tick(now());
      }
      if (step % 50 === 0) await turn();
      check();
    }
    for (const worker of workers) worker.close();
    assert.equal(waits.size, 0, "all who waited were told");
    for (const { worker, row } of held.splice(0)) worker.release(row, now());
    check();
    for (let row = 0; row < ROWS; row++)
      for (const worker of [0, 1])
        assert.deepEqual([world.counter(row, "active", worker), world.counter(row, "queued", worker)], [0, 0]);
  });
}
