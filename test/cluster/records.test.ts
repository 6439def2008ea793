/** The table of records and the form of a line: which is newer, when one ends, what is remembered, what is refused. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createManualClock } from "#base/clock.ts";
import { createKeyring } from "#cluster/identity.ts";
import { createRecordTable, RECORD_LIMITS } from "#cluster/records.ts";
import {
  compareStamps,
  isStamp,
  type Line,
  ownsItsKey,
  readBody,
  readCopy,
  readLine,
  sealRecord,
  stampOf,
  writeCopy,
} from "#cluster/seal.ts";
import {
  compareVersions,
  RECORD_KINDS,
  type RecordKind,
  type RecordVersion,
  type SharedRecord,
} from "#state/shared.ts";
import { enrolled, IDENTITIES, overrideOf } from "./bed.ts";

const { sign } = IDENTITIES["ns1"]!;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function lineOf(more: Partial<SharedRecord> = {}, signer = sign): Line {
  const record = {
    kind: "override" as const,
    key: "region/a",
    version: { epoch: 1, sequence: 1, node: "ns1" },
    atMs: 1_000,
    ttlMs: HOUR_MS,
    body: overrideOf("because"),
    ...more,
  };
  const line = readLine(sealRecord(record, signer));
  assert.ok(typeof line === "object", String(line));
  return line;
}
const at = (sequence: number, node = "ns1", epoch = 1): RecordVersion => ({ epoch, sequence, node });
function newTable() {
  const clock = createManualClock();
  const table = createRecordTable(() => clock.monotonicMs());
  const accept = (line: Line, ageMs = 0) => table.accept(line, readBody(line)!, ageMs);
  return { clock, table, accept };
}
const id = "override region/a";

// ── which is newer ───────────────────────────────────────────────────────────────────────────────────────────────

test("accept() keeps the newest by epoch, sequence and node, and says what became of the others", () => {
  const { table, accept } = newTable();
  for (const [version, expected] of [
    [at(5), "new"],
    [at(5), "known"],
    [at(4), "old"],
    [at(5, "ns2"), "new"],
    [at(9, "ns1", 0), "old"],
    [at(1, "ns1", 2), "new"],
    [at(99), "old"],
  ] as const)
    assert.equal(accept(lineOf({ version })), expected, JSON.stringify(version));
  assert.deepEqual(table.find(id)?.record.version, at(1, "ns1", 2));
});

test("whatever the order, tables that saw the same records keep the same ones", () => {
  const versions = fc.record({ epoch: fc.nat(2), sequence: fc.nat(3), node: fc.constantFrom("ns1", "ns2") });
  const records = fc.array(
    fc.record({ key: fc.constantFrom("region/a", "region/b"), version: versions, text: fc.nat(3) }),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(records, fc.infiniteStream(fc.nat()), (all, order) => {
      const lines = all.map(({ key, version, text }) => lineOf({ key, version, body: overrideOf(`${text}`) }));
      const keptOf = (some: readonly Line[]) => {
        const { table, accept } = newTable();
        for (const line of some) accept(line);
        return [...table.entries("override")].map(({ text }) => text).sort();
      };
      const shuffled = lines
        .map((line) => ({ line, rank: order.next().value as number }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ line }) => line);
      assert.deepEqual(keptOf(shuffled), keptOf(lines));
    }),
    { numRuns: 60 },
  );
});

test("compareStamps() is the order of versions, and settles two records of one version", () => {
  const stamps = [at(1), at(2), at(10), at(1, "ns2"), at(1, "ns1", 2)].map((version) => stampOf(lineOf({ version })));
  const twin = stampOf(lineOf({ body: overrideOf("another") }));
  for (const a of [...stamps, twin]) {
    assert.ok(isStamp(a));
    for (const b of [...stamps, twin]) assert.equal(compareStamps(a, b), -compareStamps(b, a) || 0, `${a} ${b}`);
  }
  const order = [...stamps].sort(compareStamps);
  assert.deepEqual(order, [stamps[0], stamps[3], stamps[1], stamps[2], stamps[4]]);
  for (const wrong of ["", "1.1", "1.1.AAAAAAAA.NS1", "01.1.AAAAAAAA.ns1", `${"9".repeat(16)}.1.AAAAAAAA.ns1`, 7, null])
    assert.ok(!isStamp(wrong), String(wrong));
});

test("nextVersion() follows all that was ever seen of the kind, what was forgotten too", () => {
  const { clock, table, accept } = newTable();
  assert.deepEqual(table.nextVersion("override"), { epoch: 1, sequence: 1 });
  accept(lineOf({ key: "region/b", version: at(7, "ns2"), ttlMs: 1 }));
  accept(lineOf({ version: at(3) }));
  clock.advance(3 * DAY_MS);
  table.sweep();
  assert.equal(table.find("override region/b"), undefined);
  assert.deepEqual(table.nextVersion("override"), { epoch: 1, sequence: 8 });
  assert.deepEqual(table.nextVersion("config"), { epoch: 1, sequence: 1 });
  assert.deepEqual(table.nextVersion("override", true), { epoch: 2, sequence: 1 });
  accept(lineOf({ kind: "config", key: "desired", version: at(999_999_999_999_999) }));
  assert.deepEqual(table.nextVersion("config"), { epoch: 2, sequence: 1 }, "no number that a line cannot hold");
});

// ── how long ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("a record ends by the receiver's own clock, counted from when it was made, and is told once", () => {
  const { clock, table, accept } = newTable();
  accept(lineOf({ ttlMs: 10_000 }), 4_000);
  clock.advance(5_999);
  assert.equal(table.live("override").length, 1);
  assert.deepEqual(table.sweep().ended, []);
  clock.advance(1);
  assert.equal(table.live("override").length, 0);
  assert.deepEqual(
    table.sweep().ended.map((entry) => entry.id),
    [id],
  );
  assert.deepEqual(table.sweep(), { ended: [], forgotten: [] });
});

test("what was buried is remembered for as long as it could have come back", () => {
  const { clock, table, accept } = newTable();
  accept(lineOf({ version: at(1), ttlMs: 7 * DAY_MS }));
  accept(lineOf({ version: at(2), ttlMs: 1_000, body: { spec: null } }));
  clock.advance(6 * DAY_MS);
  table.sweep();
  assert.equal(table.find(id)?.isGrave, true);
  assert.equal(accept(lineOf({ version: at(1), ttlMs: 7 * DAY_MS }), 6 * DAY_MS), "old");
  clock.advance(3 * DAY_MS);
  assert.deepEqual(
    table.sweep().forgotten.map((entry) => entry.id),
    [id],
  );
});

test("a record that ended long ago is not taken for a new grave: graves do not live by being told", () => {
  const { accept } = newTable();
  assert.equal(accept(lineOf({ ttlMs: 1_000 }), 2 * DAY_MS), "old");
  assert.equal(accept(lineOf({ ttlMs: 1_000 }), HOUR_MS), "new");
});

test("a record for good has no end", () => {
  const { clock, table, accept } = newTable();
  accept(lineOf({ kind: "config", key: "desired", ttlMs: Number.MAX_SAFE_INTEGER }));
  clock.advance(1_000 * DAY_MS);
  assert.deepEqual(table.sweep(), { ended: [], forgotten: [] });
  assert.equal(table.live("config").length, 1);
});

test("there is a bound on records of each kind: the oldest grave gives way, what lives does not", () => {
  const { clock, table, accept } = newTable();
  const limit = RECORD_LIMITS.config.records;
  accept(lineOf({ kind: "config", key: "brief", ttlMs: 1 }));
  for (let count = 1; count < limit; count++) accept(lineOf({ kind: "config", key: `fork/${count}` }));
  assert.equal(accept(lineOf({ kind: "config", key: "one more" })), "full");
  clock.advance(2);
  table.sweep();
  assert.equal(accept(lineOf({ kind: "config", key: "one more" })), "new");
  assert.equal(table.find("config brief"), undefined);
  assert.equal(accept(lineOf({ kind: "config", key: "fork/1", version: at(2) })), "new", "what is there may change");
  assert.equal(accept(lineOf({ kind: "config", key: "another" })), "full");
});

// ── the form of a line ───────────────────────────────────────────────────────────────────────────────────────────

test("readLine() reads what sealRecord() wrote, for every record", () => {
  const keyring = createKeyring(enrolled());
  const plain = { noNullPrototype: true };
  const record = fc.record(
    {
      kind: fc.constantFrom(...RECORD_KINDS),
      key: fc.oneof(
        fc.string({ minLength: 1, maxLength: 40 }),
        fc.constantFrom("backend/web/[::1]:80", "region/eu-*", "a b%20c"),
      ),
      version: fc.record({ epoch: fc.nat(), sequence: fc.nat(), node: fc.constant("ns1") }, plain),
      atMs: fc.nat(),
      ttlMs: fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER)),
      body: fc.object({ maxDepth: 2 }) as fc.Arbitrary<never>,
    },
    plain,
  );
  fc.assert(
    fc.property(record, fc.nat(1e9), (written, ageMs) => {
      const copy = readCopy(writeCopy(ageMs, sealRecord(written, sign)))!;
      const line = readLine(copy.text);
      assert.ok(typeof line === "object", copy.text);
      const { kind, key, version, atMs, ttlMs } = line;
      const { body, ...head } = written;
      assert.deepEqual({ kind, key, version, atMs, ttlMs }, { ...head, key: head.key.toWellFormed() });
      assert.deepEqual(readBody(line), JSON.parse(JSON.stringify(body)));
      assert.equal(copy.ageMs, ageMs);
      assert.ok(keyring.verify(line));
    }),
    { numRuns: 100 },
  );
});

test("no octet of a line can be changed, and no other node's key passes", () => {
  const keyring = createKeyring(enrolled());
  const { text } = lineOf();
  for (let position = 0; position < text.length; position++) {
    const code = text.charCodeAt(position);
    for (const other of [code ^ 1, code ^ 2]) {
      const line = readLine(text.slice(0, position) + String.fromCharCode(other) + text.slice(position + 1));
      assert.ok(typeof line === "string" || !keyring.verify(line), `at ${position}`);
    }
  }
  assert.ok(!keyring.verify(lineOf({}, IDENTITIES["ns2"]!.sign)));
  assert.ok(!keyring.verify(lineOf({ version: at(1, "stranger") }, IDENTITIES["stranger"]!.sign)));
});

test("ownsItsKey(): a node writes its own keys, anybody those of all", () => {
  for (const [kind, key, expected] of [
    ["heartbeat", "ns1", true],
    ["heartbeat", "ns2", false],
    ["votes", "ns1", true],
    ["votes", "", false],
    ["latency", "ns2", false],
    ["report", "us-east/ns1", true],
    ["report", "us-east/ns2", false],
    ["report", "/ns1", false],
    ["report", "ns1", false],
    ["override", "region/a", true],
    ["config", "desired", true],
    ["config", "", false],
  ] as [RecordKind, string, boolean][])
    assert.equal(ownsItsKey({ kind, key, version: at(1) }), expected, `${kind} ${key}`);
});

test("readLine() and readCopy() take nothing else, and never throw", () => {
  const { text } = lineOf();
  for (const [broken, expected] of [
    ["", "damaged"],
    [text.slice(0, 60), "damaged"],
    [text.replace("rhumb1", "rhumb2"), "damaged"],
    [text.replace(/^rhumb1 \S+/, "rhumb1 -"), "unsigned"],
    [text.replace(" override ", " gossip "), "damaged"],
    [text.replace(" region/a ", " region/%zz "), "damaged"],
    [text.replace(" region/a ", " region/%61 "), "damaged"],
    [text.replace(" 1 1 ns1 ", " 1 01 ns1 "), "damaged"],
    [text.replace(" 1 1 ns1 ", ` 1 ${"9".repeat(17)} ns1 `), "damaged"],
    [text.replace(" ns1 ", " NS1 "), "damaged"],
  ] as const)
    assert.equal(readLine(broken), expected, broken.slice(0, 140));
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.nat(text.length), fc.nat(20), (noise, from, cut) => {
      const mangled = text.slice(0, from) + noise + text.slice(from + cut);
      const line = readLine(mangled);
      if (typeof line === "object") readBody(line);
      readCopy(mangled);
    }),
    { numRuns: 500 },
  );
});

test("readBody() takes an object, and nothing else", () => {
  const { text } = lineOf();
  const bodyOf = (body: string) => {
    const line = readLine(text.replace(/ \{.*$/, ` ${body}`));
    assert.ok(typeof line === "object");
    return readBody(line);
  };
  for (const wrong of ["", "{", "[]", "null", "7", '"x"', "{}x"]) assert.equal(bodyOf(wrong), undefined, wrong);
  assert.deepEqual(bodyOf("{}"), {});
  assert.equal(({} as { polluted?: true }).polluted, undefined);
  bodyOf('{"__proto__":{"polluted":true}}');
  assert.equal(({} as { polluted?: true }).polluted, undefined);
});

test("compareVersions() goes by epoch first", () => {
  assert.ok(compareVersions(at(1, "ns1", 2), at(9)) > 0);
});
