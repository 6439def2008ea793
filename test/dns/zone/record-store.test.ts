/** Records as columns: nothing is lost between text, columns and text, however many there are. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatName } from "#dns/wire/name.ts";
import { formatRecord } from "#dns/zone/format-record.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { PSEUDO_TYPE, type ZoneRecord } from "#dns/zone/record.ts";
import { RecordStore, storeOf } from "#dns/zone/record-store.ts";

const label = fc.uint8Array({ minLength: 1, maxLength: 9 });
const name = fc
  .array(label, { maxLength: 5 })
  .map((labels) => Uint8Array.from([...labels.flatMap((octets) => [octets.length, ...octets]), 0]));
const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const data = fc.oneof(
  fc.record({ type: fc.constant(1), rdata: octets(4) }),
  fc.record({ type: fc.constant(28), rdata: octets(16) }),
  fc.record({ type: fc.constantFrom(2, 5, 12, 39, PSEUDO_TYPE.alias), rdata: name }),
  fc.record({ type: fc.constant(15), rdata: name.map((target) => Uint8Array.from([1, 2, ...target])) }),
  fc.record({
    type: fc.constant(16),
    rdata: fc.uint8Array({ maxLength: 255 }).map((text) => Uint8Array.from([text.length, ...text])),
  }),
  fc.record({ type: fc.integer({ min: 1_000, max: 32_000 }), rdata: fc.uint8Array({ maxLength: 300 }) }),
  fc.constant({ type: PSEUDO_TYPE.steer, rdata: new TextEncoder().encode("web") }),
);
const records = fc.array(
  fc.record({ owner: name, ttlSeconds: fc.integer({ min: 0, max: 2 ** 31 - 1 }), data, isLikeBefore: fc.boolean() }),
  { maxLength: 200 },
);

/** As an array of objects that own their octets. */
const copyOf = (store: RecordStore): ZoneRecord[] =>
  [...store].map((record) => ({ ...record, owner: record.owner.slice(), rdata: record.rdata.slice() }));

test("what formatRecord() writes of random records, parseZone() reads back, line by line", () => {
  fc.assert(
    fc.property(records, (drawn) => {
      const made: ZoneRecord[] = [];
      for (const { owner, ttlSeconds, data, isLikeBefore } of drawn) {
        const before = made.at(-1)?.owner;
        const at = { file: "z", line: made.length + 1, column: 1 };
        made.push({ owner: isLikeBefore && before ? before : owner, ttlSeconds, ...data, at });
      }
      const text = made.map(formatRecord).join("\n");
      const parsed = parseZone(text, { file: "z", origin: new Uint8Array(1) });
      assert.deepEqual(parsed.problems, []);
      assert.deepEqual(copyOf(parsed.records), made);
      assert.deepEqual(copyOf(storeOf(made)), made);
    }),
    { seed: 11, numRuns: 300 },
  );
});

test("a store keeps one name for neighbours with the same owner, in the case in which it came", () => {
  const { records: store } = parseZone("a 1 A 192.0.2.1\na 1 TXT x\n 1 TXT y\nA 1 TXT z\na 1 TXT z\n", {
    file: "z",
    origin: new Uint8Array(1),
  });
  assert.deepEqual([...store.ownerAt.subarray(0, store.length)], [0, 0, 0, 3, 6]);
  assert.deepEqual(
    [...store].map(({ owner }) => formatName(owner)),
    ["a.", "a.", "a.", "A.", "a."],
  );
});

test("a selection keeps order, files and places, and leaves the store as it is", () => {
  const include = (file: string) => ({ file, text: "i 1 A 192.0.2.1\nj 1 A 192.0.2.1\n" });
  const source = { file: "z", origin: new Uint8Array(1), include };
  const { records: store } = parseZone("a 9 A 192.0.2.1\n$INCLUDE x\nb 9 A 192.0.2.1\n$INCLUDE y\n", source);
  const before = copyOf(store);
  const ttls = store.ttlSeconds.map((_, record) => record);
  const selected = store.select(Uint8Array.from([0, 0, 1, 1, 0, 1]), ttls);
  assert.deepEqual(
    copyOf(selected).map((record) => `${formatRecord(record)} ${record.at.file}:${record.at.line}`),
    ["j. 2 IN A 192.0.2.1 x:2", "b. 3 IN A 192.0.2.1 z:3", "j. 5 IN A 192.0.2.1 y:2"],
  );
  assert.deepEqual(copyOf(store), before);
  assert.equal(new RecordStore().length, 0);
});
