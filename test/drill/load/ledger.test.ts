import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createLedger, LATE_MS } from "#drill/load/ledger.ts";
import type { LoadSecond } from "#drill/load/protocol.ts";

const FROM_MS = 1_800_000_000_250;

test("createLedger() tells a second when it is over and all that was due in it has ended, in order", () => {
  const ledger = createLedger("EU", FROM_MS);
  const slow = ledger.request(FROM_MS + 100, FROM_MS + 101);
  const quick = ledger.request(FROM_MS + 1_000, FROM_MS + 1_000);
  quick.end("eu-west", "ok", FROM_MS + 1_010);
  assert.deepEqual(ledger.advance(FROM_MS + 2_000), []);
  slow.end("us-east", "retried", FROM_MS + 2_100);
  const told = ledger.advance(FROM_MS + 2_100);
  assert.deepEqual(
    told.map(({ atMs, http }) => [atMs, http]),
    [
      [1_800_000_000_000, { "us-east": { ok: 0, retried: 1, lost: 0 } }],
      [1_800_000_001_000, { "eu-west": { ok: 1, retried: 0, lost: 0 } }],
    ],
  );
  assert.equal(ledger.open(), 0);
});

test("createLedger() tells seconds in which nothing was due as well", () => {
  const ledger = createLedger("NA", FROM_MS);
  assert.deepEqual(
    ledger.advance(FROM_MS + 3_000).map(({ atMs }) => atMs),
    [1_800_000_000_000, 1_800_000_001_000, 1_800_000_002_000],
  );
});

test("createLedger() measures from when a request was due, and what it says of lost ones is no latency", () => {
  const ledger = createLedger("AS", FROM_MS);
  ledger.request(FROM_MS, FROM_MS + 40).end("eu-west", "ok", FROM_MS + 50.04);
  ledger.request(FROM_MS, FROM_MS).end("eu-west", "lost", FROM_MS + 4_000);
  const [second] = ledger.rest();
  assert.deepEqual([second!.httpP50Ms, second!.httpP99Ms], [50, 50]);
});

test("createLedger() counts what this process began too late", () => {
  const ledger = createLedger("AS", FROM_MS);
  ledger.request(FROM_MS, FROM_MS + LATE_MS).end("", "lost", FROM_MS);
  ledger.anycast(FROM_MS, FROM_MS + LATE_MS + 1).end("", false);
  assert.equal(ledger.rest()[0]!.late, 1);
});

test("createLedger() tells ages of answers, questions and their answers", () => {
  const ledger = createLedger("EU", FROM_MS);
  const request = ledger.request(FROM_MS, FROM_MS);
  request.sentBy(1_000);
  request.end("eu-west", "ok", FROM_MS + 1);
  const other = ledger.request(FROM_MS, FROM_MS);
  other.sentBy(2_000.4);
  other.end("eu-west", "ok", FROM_MS + 1);
  ledger.question(FROM_MS).end("eu-west", FROM_MS + 0.5);
  ledger.question(FROM_MS).end("", FROM_MS + 1.5);
  ledger.question(FROM_MS).end(undefined, FROM_MS + 3_000);
  const [second] = ledger.rest();
  assert.deepEqual(second!.ttlAge, { meanMs: 1_500, mostMs: 2_000 });
  assert.deepEqual(second!.dns, {
    queries: 3,
    lost: 1,
    answers: { "eu-west": 1, "": 1 },
    p50Micros: 500,
    p99Micros: 1_500,
  });
});

const outcome = fc.constantFrom("ok", "retried", "lost");
const region = fc.constantFrom("", "us-east", "eu-west", "__proto__", "constructor");

test("createLedger() counts each request once, in the second in which it was due, whenever it ends", () => {
  const requests = fc.array(
    fc.record({ dueMs: fc.nat(10_000), startsMs: fc.nat(300), takesMs: fc.nat(8_000), region, outcome }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(requests, (all) => {
      const ledger = createLedger("EU", FROM_MS);
      const told: LoadSecond[] = [];
      const events = all.flatMap((each) => {
        let entry: ReturnType<typeof ledger.request>;
        const startMs = each.dueMs + each.startsMs;
        return [
          { atMs: startMs, run: () => (entry = ledger.request(FROM_MS + each.dueMs, FROM_MS + startMs)) },
          { atMs: startMs + each.takesMs, run: () => entry.end(each.region, each.outcome, FROM_MS + startMs) },
        ];
      });
      const starts = new Set(events.map(({ atMs }) => atMs));
      for (const atMs of [...starts].sort((a, b) => a - b)) {
        for (const event of events) if (event.atMs === atMs) event.run();
        // As the load does it: all that is due by then is entered before a second is told.
        if (all.every(({ dueMs, startsMs }) => dueMs > atMs || dueMs + startsMs <= atMs))
          told.push(...ledger.advance(FROM_MS + atMs));
      }
      assert.equal(ledger.open(), 0);
      told.push(...ledger.rest());
      for (let index = 1; index < told.length; index++) assert.equal(told[index]!.atMs - told[index - 1]!.atMs, 1_000);
      const counted = told.flatMap(({ atMs, http }) =>
        Object.entries(http).flatMap(([name, counts]) =>
          Object.entries(counts).flatMap(([kind, count]) => Array<string>(count).fill(`${atMs} ${name} ${kind}`)),
        ),
      );
      const expected = all.map(
        (each) => `${Math.floor((FROM_MS + each.dueMs) / 1_000) * 1_000} ${each.region} ${each.outcome}`,
      );
      assert.deepEqual(counted.sort(), expected.sort());
      assert.equal(
        told.reduce((sum, { late }) => sum + late, 0),
        all.filter(({ startsMs }) => startsMs > LATE_MS).length,
      );
    }),
  );
});
