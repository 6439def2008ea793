/** What is written back: only what changed, in batches, with what was not taken tried again. */
import assert from "node:assert/strict";
import test from "node:test";
import { CHECKED_STEP_MS, createWriteBack, MAX_BATCH_ROWS } from "#cluster/postgres/write-back.ts";
import type { UpstreamHealth, UpstreamRow } from "#state/upstreams.ts";

const NOW = 1_800_000_000_000;
const rowOf = (number: number): UpstreamRow => ({
  id: `id-${`${number}`.padStart(5, "0")}`,
  pool: "web",
  address: `10.0.${number >> 8}.${number & 255}`,
  port: 80,
  weight: 1,
  isBackup: false,
  isDraining: false,
});
const healthOf = (number: number, over: Partial<UpstreamHealth> = {}): UpstreamHealth => ({
  pool: "web",
  address: rowOf(number).address,
  port: 80,
  isHealthy: true,
  failures: 0,
  checkedAtMs: NOW,
  ...over,
});

test("a row is written when its state or count of failures changes, and once a minute", () => {
  const back = createWriteBack();
  const rows = [rowOf(1)];
  const due = (over: Partial<UpstreamHealth>): boolean => {
    back.note([healthOf(1, over)], rows);
    const updates = back.next();
    back.written(updates);
    return updates.length === 1;
  };
  assert.deepEqual(
    [
      due({}),
      due({ checkedAtMs: NOW + 5_000 }),
      due({ checkedAtMs: NOW + 6_000, failures: 1 }),
      due({ checkedAtMs: NOW + 7_000, failures: 1 }),
      due({ checkedAtMs: NOW + 8_000, isHealthy: false, failures: 1 }),
      due({ checkedAtMs: NOW + 8_000 + CHECKED_STEP_MS, isHealthy: false, failures: 1 }),
    ],
    [true, false, true, false, true, true],
  );
});

test("what was not taken is tried again; backends without a row, and rows that are gone, are not", () => {
  const back = createWriteBack();
  back.note([healthOf(1), healthOf(2)], [rowOf(1)]);
  assert.deepEqual(
    back.next().map(({ id, status }) => [id, status]),
    [["id-00001", "HEALTHY"]],
  );
  assert.equal(back.next().length, 1, "nobody said that it was written");
  back.note([healthOf(1)], []);
  assert.deepEqual(back.next(), []);
  back.note([healthOf(1)], [rowOf(1)]);
  back.written(back.next());
  back.note([], []);
  back.note([healthOf(1)], [rowOf(1)]);
  assert.equal(back.next().length, 1, "a row that came back is a new one");
});

test("a thousand rows at once become batches, each in the order of ids", () => {
  const back = createWriteBack();
  const numbers = Array.from({ length: 1_200 }, (_, at) => 1_200 - at);
  back.note(
    numbers.map((number) => healthOf(number)),
    numbers.map(rowOf),
  );
  const sizes: number[] = [];
  for (let batch = back.next(); batch.length > 0; batch = back.next()) {
    sizes.push(batch.length);
    const ids = batch.map(({ id }) => id);
    assert.deepEqual(ids, [...ids].sort());
    back.written(batch);
  }
  assert.deepEqual(sizes, [MAX_BATCH_ROWS, MAX_BATCH_ROWS, 200]);
});
