import assert from "node:assert/strict";
import test from "node:test";
import { createLatencyMemory } from "#app/latency-memory.ts";
import { createManualClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { openStore } from "#cluster/store.ts";
import type { LatencyInput } from "#geo/latency-table.ts";

const HOUR_MS = 3_600_000;

function setUp(refuse = false) {
  const clock = createManualClock();
  const store = openStore({ folder: ":memory:", clock });
  const taken: { entries: readonly LatencyInput[]; replace: boolean }[] = [];
  const geo = {
    async setLatency(entries: readonly LatencyInput[], replace: boolean) {
      if (refuse) throw new RhumbError("RHUMB_GEO_LATENCY_INVALID", "no");
      taken.push({ entries, replace });
    },
  };
  return { clock, store, taken, memory: createLatencyMemory({ store, geo, clock, log: silentLog }) };
}
const put = (network: string, rttMs: Record<string, number>): LatencyInput => ({ network, rttMs });

test("measured latency is in use again after a restart", async () => {
  const { memory, taken, clock } = setUp();
  await memory.put([put("192.0.2.0/24", { a: 10, b: 20.5 })], false);
  await memory.put([put("198.51.100.0/24", { a: 30 })], false);
  await memory.put([put("192.0.2.0/24", { a: 11 })], false);
  clock.advance(HOUR_MS);
  await memory.restore(["a", "b"]);
  const atMs = clock.nowMs() - HOUR_MS;
  assert.deepEqual(taken.at(-1), {
    entries: [
      { network: "192.0.2.0/24", rttMs: { a: 11 }, atMs },
      { network: "192.0.2.0/24", rttMs: { b: 20.5 }, atMs },
      { network: "198.51.100.0/24", rttMs: { a: 30 }, atMs },
    ],
    replace: true,
  });
});

test("replace forgets what was stored before", async () => {
  const { memory, store } = setUp();
  await memory.put([put("192.0.2.0/24", { a: 10 })], false);
  await memory.put([put("198.51.100.0/24", { a: 30 })], true);
  assert.deepEqual(
    store.latency().map(({ network }) => network),
    ["198.51.100.0/24"],
  );
});

test("a region that is gone, or an age of more than a day, does not cost the rest", async () => {
  const { memory, taken, clock, store } = setUp();
  await memory.put([put("192.0.2.0/24", { a: 10 })], false);
  clock.advance(23 * HOUR_MS);
  await memory.put([put("198.51.100.0/24", { a: 30, gone: 5 })], false);
  clock.advance(2 * HOUR_MS);
  await memory.restore(["a"]);
  assert.deepEqual(
    taken.at(-1)!.entries.map(({ network, rttMs }) => [network, rttMs]),
    [["198.51.100.0/24", { a: 30 }]],
  );
  assert.ok(store.latency().every(({ network }) => network !== "192.0.2.0/24"));
});

test("what is refused is not stored, and what cannot be restored does not keep a node from starting", async () => {
  const { memory, store, clock } = setUp(true);
  await assert.rejects(memory.put([put("192.0.2.0/24", { a: 10 })], false), { code: "RHUMB_GEO_LATENCY_INVALID" });
  assert.deepEqual(store.latency(), []);
  store.putLatency([{ network: "192.0.2.0/24", region: "a", rttMicros: 1, atMs: clock.nowMs() + HOUR_MS }]);
  await memory.restore(["a"]);
});

test("a clock that was set back does not throw measured latency away", async () => {
  const { memory, taken, store, clock } = setUp();
  store.putLatency([{ network: "192.0.2.0/24", region: "a", rttMicros: 1_000, atMs: clock.nowMs() + HOUR_MS }]);
  await memory.restore(["a"]);
  assert.equal(taken[0]!.entries[0]!.atMs, clock.nowMs());
});
