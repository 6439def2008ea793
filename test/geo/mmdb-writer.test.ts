import assert from "node:assert/strict";
import test from "node:test";
import { Reader } from "mmdb-lib";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { type MmdbNetwork, writeMmdb } from "#geo/mmdb-writer.ts";
import { MMDB_OPTIONS, narrowest, network, place, randomBytes, randomCidr } from "./maker.ts";

const record = {
  text: "x".repeat(300),
  long: "y".repeat(70_000),
  short: "z".repeat(30),
  numbers: [0, 1, 255, 256, 65_536, 4_294_967_295],
  yes: true,
  no: false,
  empty: {},
  unicode: "Zürich 東京",
  location: { latitude: -12.5, longitude: 0 },
};

test("writeMmdb() writes every type and size so that mmdb-lib reads it back", () => {
  const other = { again: record.text, nested: { empty: {}, list: ["a", "bb", record.short] } };
  const bytes = writeMmdb([network("10.0.0.0/8", record), network("2a02::/16", other)], MMDB_OPTIONS);
  const reader = new Reader(bytes);
  assert.deepEqual(reader.get("10.1.2.3"), record);
  assert.deepEqual(reader.get("2a02::1"), other);
  assert.equal(reader.get("11.0.0.1"), null);
  assert.equal(reader.metadata.databaseType, "Test-City");
  assert.equal(reader.metadata.buildEpoch.getTime(), MMDB_OPTIONS.builtAtMs);
  assert.equal(reader.metadata.ipVersion, 6);
});

test("writeMmdb() lets IPv4 be found by its mapped and 6to4 forms", () => {
  const reader = new Reader(writeMmdb([network("10.0.0.0/8", place("DE"))], MMDB_OPTIONS));
  for (const address of ["::ffff:10.1.2.3", "2002:a01:203::"])
    assert.deepEqual(reader.get(address), place("DE"), address);
});

test("writeMmdb() makes the same octets whatever the order, and fewer for shared records", () => {
  const networks = [
    network("10.0.0.0/8", place("DE")),
    network("10.1.0.0/16", place("US")),
    network("2a02::/16", place("DE")),
  ];
  const bytes = writeMmdb(networks, MMDB_OPTIONS);
  assert.deepEqual(writeMmdb(networks, MMDB_OPTIONS), bytes);
  const moved = writeMmdb([networks[1]!, networks[0]!, networks[2]!], MMDB_OPTIONS);
  assert.deepEqual(moved, bytes);
  const unshared = writeMmdb([networks[0]!, networks[1]!, network("2a02::/16", place("FR", "EU", 5, 5))], MMDB_OPTIONS);
  assert.ok(bytes.length < unshared.length);
});

test("writeMmdb() refuses IPv6 in an IPv4 database, and numbers it has no type for", () => {
  assert.throws(() => writeMmdb([network("2a02::/16", "x")], { ...MMDB_OPTIONS, ipVersion: 4 }), RangeError);
  for (const number of [-1, 0.5, 2 ** 60])
    assert.throws(() => writeMmdb([network("10.0.0.0/8", { number })], MMDB_OPTIONS), RangeError);
});

test("writeMmdb() agrees with longest prefix match over random nested networks", () => {
  const rng = createSeededRng(3);
  for (let round = 0; round < 30; round++) {
    const networks: MmdbNetwork[] = Array.from({ length: 40 }, (_, index) => ({
      cidr: randomCidr(rng, index % 2 === 0, index % 2 === 0 ? 128 : 32),
      record: { index },
    }));
    const recordBits = ([24, 28, 32] as const)[round % 3]!;
    const reader = new Reader(writeMmdb(networks, { ...MMDB_OPTIONS, recordBits }));
    for (let at = 0; at < 200; at++) {
      const address = at % 4 === 0 ? randomBytes(rng, 4) : randomCidr(rng, at % 2 === 0, at % 2 === 0 ? 128 : 32).bytes;
      assert.deepEqual(reader.get(formatIp(address)), narrowest(networks, address)?.record ?? null, formatIp(address));
    }
  }
});
