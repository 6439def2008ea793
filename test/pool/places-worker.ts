/**
 * A worker thread with its own `Places` over shared tables, for `places-workers.test.ts`: it does one job and says how that went.
 */
import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import { createAlgorithm } from "#balance/table.ts";
import { systemClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import { NO_PLACE } from "#pool/place.ts";
import { createPlaces } from "#pool/places.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { requestOf } from "./pool-fixture.ts";

export type PlacesJob = {
  readonly job: "hammer" | "wait" | "wait-without-loop" | "hold" | "queue";
  readonly seed: number;
  readonly spec: PoolSpec;
  readonly table: Int32Array;
  readonly counters: Float64Array;
  /** Counted by the test itself, by row: connections that stand. */
  readonly standing: Int32Array;
  /** 0: how many workers are ready; 1: goes to 1 when those that hold shall let go. */
  readonly gate: Int32Array;
  readonly rounds: number;
};

const { job, seed, spec, table, counters, standing, gate, rounds } = workerData as PlacesJob;
const rng = createSeededRng(seed);
const places = createPlaces({
  spec,
  table,
  counters,
  zone: undefined,
  clock: systemClock,
  rng,
  sticky: undefined,
  createAlgorithm,
});
const now = () => systemClock.monotonicMs();
const limitOf = (row: number): number => spec.backends.find(({ target }) => target === row)!.maxConnections;
const say = (result: unknown) => parentPort!.postMessage(result);
let most = 0;
function stand(row: number): void {
  const count = Atomics.add(standing, row, 1) + 1;
  if (count > limitOf(row)) throw new Error(`${count} connections at row ${row}, which may have ${limitOf(row)}`);
  most = Math.max(most, count);
}
function letGo(row: number): void {
  Atomics.sub(standing, row, 1);
  places.release(row, now());
}
function ready(workers: number): void {
  Atomics.add(gate, 0, 1);
  Atomics.notify(gate, 0);
  for (let seen = Atomics.load(gate, 0); seen < workers; seen = Atomics.load(gate, 0)) Atomics.wait(gate, 0, seen);
}

const jobs: Record<PlacesJob["job"], () => Promise<void> | void> = {
  /** Takes and gives back at random. */
  hammer() {
    ready(2);
    const held: number[] = [];
    const requests = Array.from({ length: 64 }, (_, index) => requestOf(`${seed}.${index}`));
    let full = 0;
    for (let round = 0; round < rounds; round++) {
      while (held.length > 0 && rng() < 0.7) letGo(held.pop()!);
      const row = places.take(requests[round & 63]!, now());
      if (row >= 0) {
        stand(row);
        held.push(row);
      } else {
        assert.equal(row, NO_PLACE.full);
        full++;
        const back = held.pop();
        if (back !== undefined) letGo(back);
      }
    }
    for (const row of held) letGo(row);
    say({ full, most });
  },
  /** Every connection waits where it must, lives for a turn of the loop, and goes. */
  async queue() {
    ready(2);
    let refused = 0;
    const one = async (round: number): Promise<void> => {
      const request = requestOf(`${seed}.${round}`);
      let row = places.take(request, now());
      if (row === NO_PLACE.full)
        row = await new Promise<number>((resolve) => void places.wait(request, now(), resolve));
      if (row < 0) {
        refused++;
        return;
      }
      stand(row);
      await new Promise((resolve) => setImmediate(resolve));
      letGo(row);
    };
    const next = Array.from({ length: rounds }, (_, round) => round).values();
    const run = async () => {
      for (const round of next) await one(round);
    };
    await Promise.all(Array.from({ length: 20 }, run));
    say({ refused, queued: places.queued(), most });
  },
  /** Has the only place until it is told to let go. */
  hold() {
    const row = places.take(requestOf(), now());
    stand(row);
    ready(1);
    Atomics.wait(gate, 1, 0);
    letGo(row);
    say({ row });
  },
  async wait() {
    assert.equal(places.take(requestOf(), now()), NO_PLACE.full);
    const granted = new Promise<number>((resolve) => void places.wait(requestOf(), now(), resolve));
    // Two turns: by then it sleeps.
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
    Atomics.store(gate, 1, 1);
    Atomics.notify(gate, 1);
    say({ row: await granted });
  },
  "wait-without-loop"() {
    assert.equal(places.take(requestOf(), now()), NO_PLACE.full);
    let granted: number | undefined;
    places.wait(requestOf(), now(), (row) => {
      granted = row;
    });
    Atomics.store(gate, 1, 1);
    Atomics.notify(gate, 1);
    const pause = new Int32Array(new SharedArrayBuffer(4));
    while (granted === undefined) {
      Atomics.wait(pause, 0, 0, 1); // as an epoll loop that blocks
      places.tick(now());
    }
    say({ row: granted });
  },
};
const alive = setInterval(() => {}, 60_000); // sleeping on a word does not keep a thread alive
await jobs[job]();
clearInterval(alive);
places.close();
