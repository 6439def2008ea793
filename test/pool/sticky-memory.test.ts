import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { Worker } from "node:worker_threads";
import {
  backendHash,
  createStickyMemory,
  createStickyTable,
  isStickyTableFor,
  NO_BACKEND,
} from "#pool/sticky-memory.ts";

const TTL_MS = 10_000;
const [A, B] = [backendHash("10.0.0.1:80"), backendHash("10.0.0.2:80")];
const NOW = 1_800_000_000_000;
const client = (index: number): string => `198.18.${index >> 8}.${index & 255}`;

test("recall() knows nobody at first, then who was remembered, in every worker", () => {
  const table = createStickyTable(100);
  const [one, other] = [createStickyMemory(table, TTL_MS), createStickyMemory(table, TTL_MS)];
  assert.equal(one.recall("192.0.2.7", NOW), NO_BACKEND);
  assert.equal(one.remember("192.0.2.7", A, NO_BACKEND, NOW), A);
  assert.equal(other.recall("192.0.2.7", NOW), A);
  assert.equal(other.recall("192.0.2.70", NOW), NO_BACKEND);
});

test("remember() gives the backend of who was faster, and writes over what its caller had seen", () => {
  const table = createStickyTable(100);
  const [one, other] = [createStickyMemory(table, TTL_MS), createStickyMemory(table, TTL_MS)];
  assert.equal(one.remember("c", A, NO_BACKEND, NOW), A);
  assert.equal(other.remember("c", B, NO_BACKEND, NOW), A, "both met the client at once");
  assert.equal(other.remember("c", B, A, NOW), B, "A is of no use any more");
  assert.equal(one.remember("c", A, A, NOW), B, "and the other worker found that out first");
  assert.equal(one.recall("c", NOW), B);
});

test("recall() keeps an entry that is used, and forgets one that is not", () => {
  const memory = createStickyMemory(createStickyTable(100), TTL_MS);
  memory.remember("used", A, NO_BACKEND, NOW);
  memory.remember("unused", A, NO_BACKEND, NOW);
  for (let at = NOW; at <= NOW + 3 * TTL_MS; at += TTL_MS / 2) assert.equal(memory.recall("used", at), A);
  const later = NOW + TTL_MS + 64; // a tick
  assert.equal(memory.recall("unused", later), NO_BACKEND);
  assert.equal(memory.remember("unused", B, NO_BACKEND, later), B);
});

test("recall() outlives the wrap of its ticks and a clock that is set back", () => {
  const wrap = 2 ** 31 * 64 * 7;
  const memory = createStickyMemory(createStickyTable(100), TTL_MS);
  memory.remember("c", A, NO_BACKEND, wrap - 1000);
  assert.equal(memory.recall("c", wrap + 1000), A);
  assert.equal(memory.recall("c", wrap - 3_600_000), A);
});

test("a full bucket forgets who came least recently", () => {
  const memory = createStickyMemory(createStickyTable(7), TTL_MS);
  for (let index = 0; index < 7; index++) memory.remember(client(index), A, NO_BACKEND, NOW + index * 100);
  memory.recall(client(0), NOW + 1_000);
  memory.remember("new", B, NO_BACKEND, NOW + 1_100);
  const known = Array.from({ length: 7 }, (_, index) => memory.recall(client(index), NOW + 1_200) === A);
  assert.deepEqual(known, [true, false, true, true, true, true, true]);
  assert.equal(memory.recall("new", NOW + 1_200), B);
});

test("a table with room for all forgets few of them", () => {
  const memory = createStickyMemory(createStickyTable(20_000), TTL_MS);
  for (let index = 0; index < 10_000; index++) memory.remember(client(index), A, NO_BACKEND, NOW);
  let known = 0;
  for (let index = 0; index < 10_000; index++) if (memory.recall(client(index), NOW) === A) known++;
  assert.ok(known > 9_800, String(known));
});

test("isStickyTableFor() tells when another size is asked for", () => {
  assert.equal(isStickyTableFor(createStickyTable(100), 100), true);
  assert.equal(isStickyTableFor(createStickyTable(100), 1_000), false);
  assert.equal(isStickyTableFor(createStickyTable(0), 0), true);
});

test("a lock whose holder died is taken over", () => {
  const table = createStickyTable(1);
  table[0] = 1;
  const memory = createStickyMemory(table, TTL_MS);
  assert.equal(memory.remember("c", A, NO_BACKEND, NOW), A);
  assert.equal(memory.recall("c", NOW), A);
});

test("workers that meet new clients at the same moment agree on their backends", async (context) => {
  const clients = 20_000;
  const table = createStickyTable(clients * 16); // no bucket ever full
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const file = new URL("../../src/pool/sticky-memory.ts", import.meta.url).href;
  const source = `
    import { workerData, parentPort } from "node:worker_threads";
    import { createStickyMemory } from ${JSON.stringify(file)};
    const { table, gate, own, clients } = workerData;
    const memory = createStickyMemory(table, 60_000);
    Atomics.add(gate, 0, 1);
    Atomics.notify(gate, 0);
    for (let seen; (seen = Atomics.load(gate, 0)) < 2; ) Atomics.wait(gate, 0, seen);
    const has = new Int32Array(clients);
    for (let index = 0; index < clients; index++) has[index] = memory.remember("10.0." + index, own, 0, ${NOW});
    parentPort.postMessage(has);`;
  const workers = [A, B].map((own) => {
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    const worker = new Worker(url, { workerData: { table, gate, own, clients } });
    context.after(() => worker.terminate());
    return worker;
  });
  const [one, other] = (await Promise.all(workers.map((worker) => once(worker, "message")))).map(([has]) => has);
  assert.deepEqual(one, other);
  assert.ok(one.includes(A) && one.includes(B), "both were first at times");
});
