/** Zone images: what is in the tables, and what lookups find in them. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatName, lowerName } from "#dns/wire/name.ts";
import { createNameKey, readNameKey } from "#dns/wire/name-key.ts";
import { buildZone } from "#dns/zone/build.ts";
import { findRrset, IMAGE_TYPE, NODE, NODE_WORDS, RRSET, RRSET_WORDS } from "#dns/zone/image.ts";
import { createLookup, findNode, lookup, MATCH } from "#dns/zone/lookup.ts";
import type { ZoneRecord } from "#dns/zone/record.ts";
import { storeOf } from "#dns/zone/record-store.ts";
import { EXAMPLE, nameOf, zoneOf } from "../answer/ask.ts";

const at = { file: "x", line: 1, column: 1 };
const record = (owner: string, type: number, ttlSeconds: number, ...rdata: number[]): ZoneRecord => ({
  owner: nameOf(owner),
  type,
  ttlSeconds,
  rdata: Uint8Array.from(rdata),
  at,
});
const SOA = record("z.", 6, 60, 0, 0, 0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5);
const OPTIONS = { file: "x", seed: 3 };

function nodeOf(image: ReturnType<typeof zoneOf>, name: string): number {
  const key = createNameKey();
  const octets = nameOf(name);
  readNameKey(octets, 0, octets.length, image.seed, key);
  return findNode(image, key, 0);
}

test("buildZone() puts everything into shared memory, and says what the zone is", () => {
  const image = zoneOf(EXAMPLE);
  for (const array of [image.names, image.table, image.nodes, image.rrsets, image.rdata, image.apex]) {
    assert.ok(array.buffer instanceof SharedArrayBuffer);
  }
  assert.equal(formatName(image.apex), "example.");
  assert.equal(image.serial, 7);
  assert.deepEqual(image.services, ["both", "four", "two", "none", "sick", "no-such-service"]);
  assert.equal(buildZone(storeOf([SOA]), nameOf("Z."), OPTIONS).serial, 0x8000_0001, "serials have 32 bits");
});

test("buildZone() gives names between owner and apex a node, and only those", () => {
  const image = buildZone(storeOf([SOA, record("a.b.c.z.", 1, 60, 1, 2, 3, 4)]), nameOf("z."), OPTIONS);
  for (const name of ["z.", "c.z.", "b.c.z.", "a.b.c.z."]) assert.ok(nodeOf(image, name) >= 0, name);
  for (const name of ["a.z.", "b.z.", "x.a.b.c.z."]) assert.equal(nodeOf(image, name), -1, name);
  assert.equal(image.nodes.length, 4 * NODE_WORDS);
});

test("buildZone() groups owners of any case, drops repetitions, and takes the lowest TTL", () => {
  const records = [
    SOA,
    record("W.z.", 1, 60, 1, 1, 1, 1),
    record("x.z.", 1, 5, 9, 9, 9, 9),
    record("w.Z.", 1, 30, 2, 2, 2, 2),
    record("w.z.", 1, 90, 1, 1, 1, 1),
  ];
  const image = buildZone(storeOf(records), nameOf("z."), OPTIONS);
  const rrset = findRrset(image, nodeOf(image, "w.z."), 1) * RRSET_WORDS;
  assert.deepEqual([image.rrsets[rrset + RRSET.count], image.rrsets[rrset + RRSET.ttlSeconds]], [2, 30]);
  assert.equal(image.recordCount, 5);
});

test("buildZone() keeps pseudo-types out of the reach of any QTYPE", () => {
  const image = zoneOf(EXAMPLE);
  const node = nodeOf(image, "steered.example.");
  assert.ok(findRrset(image, node, IMAGE_TYPE.steer) >= 0);
  for (let type = 0; type < 65_536; type++) assert.equal(findRrset(image, node, type), -1);
});

test("buildZone() refuses names outside of the zone, and a zone without SOA", () => {
  const unsound = { code: "RHUMB_ZONE_UNSOUND" };
  assert.throws(() => buildZone(storeOf([SOA, record("a.y.", 1, 60, 1, 2, 3, 4)]), nameOf("z."), OPTIONS), unsound);
  assert.throws(() => buildZone(storeOf([SOA, record("a.zz.", 1, 60, 1, 2, 3, 4)]), nameOf("z."), OPTIONS), unsound);
  assert.throws(() => buildZone(storeOf([record("a.z.", 1, 60, 1, 2, 3, 4)]), nameOf("z."), OPTIONS), unsound);
});

test("findNode() finds each of many random names, and no other", () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 3 });
  const names = fc.array(fc.array(label, { minLength: 1, maxLength: 4 }), { maxLength: 300 });
  fc.assert(
    fc.property(names, names, fc.integer(), (inside, others, seed) => {
      const wire = (labels: Uint8Array[]) =>
        Uint8Array.from([...labels.flatMap((octets) => [octets.length, ...octets]), 1, 122, 0]);
      const records = inside.map((labels) => ({ ...record("z.", 1, 60, 1, 2, 3, 4), owner: wire(labels) }));
      const image = buildZone(storeOf([SOA, ...records]), nameOf("z."), { file: "x", seed });
      const known = new Set<string>();
      for (const labels of inside)
        for (let from = 0; from < labels.length; from++) known.add(String(lowerName(wire(labels.slice(from)))));
      const key = createNameKey();
      for (const labels of [...inside, ...others]) {
        const name = wire(labels);
        readNameKey(name, 0, name.length, seed, key);
        const node = findNode(image, key, 0);
        assert.equal(node >= 0, known.has(String(lowerName(name))));
        if (node < 0) continue;
        const from = image.nodes[node * NODE_WORDS + NODE.nameAt]!;
        assert.deepEqual(Uint8Array.from(image.names.subarray(from, from + name.length)), lowerName(name));
      }
    }),
    { numRuns: 50 },
  );
});

for (const [name, match, node] of [
  ["example.", MATCH.exact, "example."],
  ["wild.example.", MATCH.exact, "wild.example."],
  ["q.wild.example.", MATCH.wildcard, "*.wild.example."],
  ["q.r.wild.example.", MATCH.wildcard, "*.wild.example."],
  ["q.ent.wild.example.", MATCH.missing, "ent.wild.example."],
  ["child.example.", MATCH.referral, "child.example."],
  ["ns1.child.example.", MATCH.referral, "child.example."],
  ["q.ns1.child.example.", MATCH.referral, "child.example."],
  ["old.example.", MATCH.exact, "old.example."],
  ["q.r.old.example.", MATCH.dname, "old.example."],
  ["q.www.example.", MATCH.missing, "www.example."],
] as const) {
  test(`lookup() of ${name}`, () => {
    const image = zoneOf(EXAMPLE);
    const key = createNameKey();
    const octets = nameOf(name);
    readNameKey(octets, 0, octets.length, image.seed, key);
    const found = createLookup();
    lookup(image, key, found);
    assert.deepEqual([found.match, found.node], [match, nodeOf(image, node)]);
  });
}

test("buildZone() takes 100,000 records", () => {
  const records = [SOA];
  for (let index = 0; index < 100_000; index++)
    records.push(record(`h${index}.n${index % 997}.z.`, 1, 60, 10, index >>> 16, (index >>> 8) & 255, index & 255));
  const image = buildZone(storeOf(records), nameOf("z."), OPTIONS);
  assert.equal(image.nodes.length / NODE_WORDS, 100_000 + 997 + 1);
  for (const index of [0, 50_000, 99_999])
    assert.ok(findRrset(image, nodeOf(image, `h${index}.n${index % 997}.z.`), 1) >= 0);
});
