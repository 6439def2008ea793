/** The request parser and the names it prepares, by themselves. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { FAULT } from "#dns/wire/fault.ts";
import { lowerName, parseName } from "#dns/wire/name.ts";
import { createNameKey, isSuffixAt, readNameKey } from "#dns/wire/name-key.ts";
import { checkName, createQuery, parseQuery } from "#dns/wire/query.ts";

const wire = (text: string) => parseName(text) as Uint8Array;

test("readNameKey() lower-cases, finds the labels, and hashes every suffix as that suffix by itself", () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(label, { maxLength: 8 }), fc.integer(), (labels, seed) => {
      const name = Uint8Array.from([...labels.flatMap((octets) => [octets.length, ...octets]), 0]);
      const key = createNameKey();
      assert.equal(readNameKey(name, 0, name.length, seed, key), name.length);
      assert.deepEqual(key.octets.slice(0, key.length), lowerName(name));
      assert.equal(key.labelCount, labels.length);
      const suffix = createNameKey();
      for (let index = 0; index <= labels.length; index++) {
        const from = key.labelAt[index]!;
        readNameKey(name, from, name.length, seed, suffix);
        assert.equal(suffix.hashes[0], key.hashes[index]);
        assert.ok(isSuffixAt(key, index, suffix.octets, 0, suffix.length));
      }
    }),
  );
});

test("readNameKey() hashes with its seed", () => {
  const name = wire("www.example.");
  const hashes = [1, 2].map((seed) => {
    const key = createNameKey();
    readNameKey(name, 0, name.length, seed, key);
    return key.hashes[0];
  });
  assert.notEqual(hashes[0], hashes[1]);
});

for (const [what, octets, fault] of [
  ["nothing", [], FAULT.truncated],
  ["a label without its end", [3, 97, 97], FAULT.truncated],
  ["no root label", [1, 97], FAULT.truncated],
  ["a pointer", [0xc0, 0], FAULT.badLabel],
  ["label type 01", [0x40, 0], FAULT.badLabel],
  ["256 octets", [...Array.from({ length: 127 }, () => [1, 97]).flat(), 1, 97, 0], FAULT.nameTooLong],
] as const) {
  test(`readNameKey() refuses ${what}`, () => {
    assert.equal(readNameKey(Uint8Array.from(octets), 0, octets.length, 0, createNameKey()), fault);
  });
}
test("readNameKey() takes 255 octets in 127 labels", () => {
  const name = Uint8Array.from([...Array.from({ length: 127 }, () => [1, 65]).flat(), 0]);
  const key = createNameKey();
  assert.equal(readNameKey(name, 0, name.length, 0, key), 255);
  assert.deepEqual([key.length, key.labelCount], [255, 127]);
});

test("checkName() follows 16 pointers backwards and no more", () => {
  const chain = (hops: number) => [
    ...new Array<number>(12).fill(0),
    0,
    ...Array.from({ length: hops }, (_, n) => [0xc0, n === 0 ? 12 : 13 + 2 * (n - 1)]).flat(),
  ];
  const at = (hops: number) => 13 + 2 * (hops - 1);
  assert.equal(checkName(Uint8Array.from(chain(16)), at(16), 100), at(16) + 2);
  assert.equal(checkName(Uint8Array.from(chain(17)), at(17), 100), -1);
});
test("checkName() counts the octets of all parts of a name", () => {
  const labels = Array.from({ length: 3 }, () => [63, ...new Array<number>(63).fill(97)]).flat();
  const message = (last: number) =>
    Uint8Array.from([
      ...new Array<number>(12).fill(0),
      ...labels,
      0,
      last,
      ...new Array<number>(last).fill(98),
      0xc0,
      12,
    ]);
  const at = 12 + labels.length + 1;
  assert.ok(checkName(message(61), at, 400) > 0, "255 octets");
  assert.equal(checkName(message(62), at, 400), -1, "256 octets");
});

test("parseQuery() reads what encodeQuery() writes", () => {
  const query = createQuery();
  const data = Uint8Array.of(0, 1, 8, 0, 10);
  const options = [
    { code: 3, data: new Uint8Array(0) },
    { code: 8, data },
    { code: 10, data: new Uint8Array(8) },
    { code: 11, data: new Uint8Array(0) },
  ];
  const message = encodeQuery(wire("wWw.example."), 28, {
    edns: { payloadOctets: 4096, isDo: true, version: 1, options },
  });
  assert.equal(parseQuery(message, message.length, 5, query), true);
  assert.deepEqual(
    [
      query.qtype,
      query.qclass,
      query.payloadOctets,
      query.isDo,
      query.ednsVersion,
      query.hasNsid,
      query.hasKeepalive,
      query.cookieOctets,
    ],
    [28, 1, 4096, true, 1, true, true, 8],
  );
  assert.deepEqual(message.slice(query.ecsAt, query.ecsAt + query.ecsOctets), data);
  const plain = encodeQuery(wire("."), 2);
  assert.equal(parseQuery(plain, plain.length, 5, query), true);
  assert.deepEqual(
    [query.hasEdns, query.ecsAt, query.cookieAt, query.hasNsid, query.isDo, query.name.length],
    [false, -1, -1, false, false, 1],
    "nothing of the one before",
  );
});

test("parseQuery() says no to every prefix of a message, and never reads behind its end", () => {
  const query = createQuery();
  const message = encodeQuery(wire("www.example."), 1, { edns: { options: [{ code: 10, data: new Uint8Array(8) }] } });
  for (let length = 12; length < message.length; length++) {
    const longer = new Uint8Array(message.length + 20).fill(0);
    longer.set(message);
    assert.equal(parseQuery(longer, length, 0, query), false, `${length} octets`);
  }
});
