/** From the rings of workers to whoever looks: order, losses, workers that come and go, and the file. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createQueryLog } from "#app/query-log.ts";
import { createManualClock } from "#base/clock.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createObservations } from "#state/observations.ts";
import { createSampleWriter, RING_SLOTS } from "#state/query-ring.ts";
import { createClient } from "#state/respond.ts";
import type { QueryLogSnapshot } from "#state/snapshot.ts";

const ON: QueryLogSnapshot = { every: 1, privacy: "prefix", file: undefined };
/** `. NS IN`, REFUSED, with `id`. */
const response = (id: number): Uint8Array =>
  new Uint8Array([id >> 8, id & 255, 0x80, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);

function setUp(context: TestContext, workerCount: number) {
  const clock = createManualClock();
  const events: RhumbEvent[] = [];
  const workers = Array.from({ length: workerCount }, createObservations);
  const log = createQueryLog({ clock, emit: (event) => events.push(event), run: "r", workers: () => workers });
  context.after(() => log.close());
  const client = createClient();
  client.address.set([192, 0, 2, 1]);
  const writers = workers.map(({ samples }) => createSampleWriter(samples));
  const write = (worker: number, atMs: number): void => writers[worker]!(client, response(1), 17, atMs);
  const times = (): number[] => log.queries.list().map(({ event }) => event.atMs);
  return { clock, events, workers, log, write, times };
}
function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-queries-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("createQueryLog() puts what all workers sampled in order, and counts it", (context) => {
  const { clock, log, write, times } = setUp(context, 2);
  log.apply(ON, []);
  write(0, 10);
  write(1, 11);
  write(0, 12);
  clock.advance(200);
  assert.deepEqual(times(), [10, 11, 12]);
  for (let number = 0; number < RING_SLOTS + 5; number++) write(1, 100 + number);
  clock.advance(200);
  assert.deepEqual(log.counts(), { read: RING_SLOTS + 3, lost: 5 });
  assert.equal(log.queries.list().length, 1_000);
});

test("createQueryLog() reads nothing while it is off, and goes on when it is on again", (context) => {
  const { clock, log, write, times } = setUp(context, 1);
  log.apply({ ...ON, every: 0 }, []);
  clock.advance(10_000);
  log.apply(ON, []);
  write(0, 1);
  clock.advance(200);
  write(0, 2);
  log.apply({ ...ON, every: 0 }, []);
  assert.deepEqual(times(), [1, 2], "what was sampled before is not lost");
});

test("createQueryLog() reads what a worker wrote that has gone, and a worker that came later", (context) => {
  const { clock, log, write, times, workers } = setUp(context, 2);
  log.apply(ON, []);
  const late = workers.pop()!;
  clock.advance(200);
  const first = workers.pop()!;
  write(0, 1);
  clock.advance(200);
  assert.deepEqual(times(), [1]);
  workers.push(late);
  write(1, 2);
  write(0, 3);
  clock.advance(200);
  assert.deepEqual(times(), [1, 2, 3]);
  clock.advance(100_000);
  workers.push(first); // as another worker would: its block is read from its beginning
  clock.advance(200);
  assert.deepEqual(log.counts(), { read: 5, lost: 0 });
});

test("createQueryLog() appends JSON lines, and opens the file anew when a reload follows its rotation", async (context) => {
  const file = join(folderOf(context), "queries.jsonl");
  const { clock, log, write } = setUp(context, 1);
  const lines = (path: string): number[] =>
    readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).atMs);
  log.apply({ ...ON, file }, []);
  write(0, 1);
  write(0, 2);
  clock.advance(200);
  await log.flushed();
  assert.deepEqual(lines(file), [1, 2]);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  renameSync(file, `${file}.1`);
  write(0, 3);
  clock.advance(200);
  log.apply({ ...ON, file }, []);
  write(0, 4);
  await log.close();
  assert.deepEqual(lines(`${file}.1`), [1, 2, 3]);
  assert.deepEqual(lines(file), [4]);
});

test("createQueryLog() raises an alarm when the file cannot be written, and takes it back when it can", async (context) => {
  const folder = join(folderOf(context), "not-there");
  const file = join(folder, "queries.jsonl");
  const { clock, events, log, write, times } = setUp(context, 1);
  const told = () => events.map(({ kind, severity, subject }) => `${kind} ${severity} ${subject === file}`);
  log.apply({ ...ON, file }, []);
  for (const atMs of [1, 2]) {
    write(0, atMs);
    clock.advance(200);
    await log.flushed();
  }
  assert.deepEqual(told(), ["query-log.fault alarm true"]);
  assert.match(events[0]!.says, /cannot be written: ENOENT/);
  assert.deepEqual(times(), [1, 2], "in memory they are all the same");
  mkdirSync(folder);
  write(0, 3);
  clock.advance(20_000);
  write(0, 4);
  clock.advance(200);
  await log.flushed();
  assert.deepEqual(told(), ["query-log.fault alarm true", "query-log.fault resolved true"]);
  assert.ok(existsSync(file));
});
