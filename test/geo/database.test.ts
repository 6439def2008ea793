import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { RhumbError } from "#base/errors.ts";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { type GeoTree, openAsnDatabase, openPlaceDatabase } from "#geo/database.ts";
import { writeMmdb } from "#geo/mmdb-writer.ts";
import { needsTestData, testData } from "./data.ts";
import { asnsOf, build, cidr, MMDB_OPTIONS, network, place, placesOf } from "./maker.ts";

/** All networks with a value, as text; tells where the IPv4 ones lie. */
function networksOf(tree: GeoTree): Map<string, number> {
  const found = new Map<string, number>();
  for (const [root, octets] of [
    [tree.ipv4Root, 4],
    [tree.ipv6Root, 16],
  ] as const) {
    const visit = (reference: number, bytes: Uint8Array, bits: number): void => {
      if (reference < 0) {
        if (reference !== ~0) found.set(`${formatIp(bytes)}/${bits}`, ~reference);
        return;
      }
      visit(tree.children[reference]!, bytes, bits + 1);
      const one = bytes.slice();
      one[bits >>> 3]! |= 0x80 >>> (bits & 7);
      visit(tree.children[reference + 1]!, one, bits + 1);
    };
    visit(root, new Uint8Array(octets), 0);
  }
  return found;
}
const refusal = (run: () => unknown): RhumbError => {
  try {
    run();
  } catch (error) {
    if (error instanceof RhumbError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "It was taken" });
};

test("openPlaceDatabase() finds exactly the networks and places of the City database's source", needsTestData, () => {
  const { tree, places, type } = openPlaceDatabase(testData("GeoLite2-City-Test.mmdb"));
  const source = JSON.parse(readFileSync(testData("GeoLite2-City-Test.json"), "utf8")) as Record<string, never>[];
  const expected = Object.assign({}, ...source) as Record<
    string,
    { continent?: { code: string }; country?: { iso_code: string }; location?: { latitude: number; longitude: number } }
  >;
  const found = networksOf(tree);
  assert.equal(type, "GeoLite2-City");
  assert.deepEqual([...found.keys()].sort(), Object.keys(expected).sort());
  assert.equal(tree.networks, found.size);
  for (const [text, value] of found) {
    const { continent, country, location } = expected[text]!;
    assert.deepEqual(
      places[value],
      {
        continent: continent?.code ?? "",
        country: country?.iso_code ?? "",
        latitude: location?.latitude ?? Number.NaN,
        longitude: location?.longitude ?? Number.NaN,
      },
      text,
    );
  }
});

for (const { name, open, code, says } of [
  {
    name: "GeoIP2-City-Test-Broken-Double-Format.mmdb",
    open: openPlaceDatabase,
    code: "RHUMB_GEO_BROKEN",
    says: /5 octets, not a double/,
  },
  {
    name: "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
    open: openPlaceDatabase,
    code: "RHUMB_GEO_BROKEN",
    says: /100000 nodes does not fit/,
  },
  {
    name: "GeoLite2-ASN-Test.mmdb",
    open: openPlaceDatabase,
    code: "RHUMB_GEO_WRONG_KIND",
    says: /GeoLite2-ASN, and no record has a continent/,
  },
  {
    name: "GeoLite2-City-Test.mmdb",
    open: openAsnDatabase,
    code: "RHUMB_GEO_WRONG_KIND",
    says: /no record has an autonomous_system_number/,
  },
  { name: "GeoLite2-City-Test.json", open: openPlaceDatabase, code: "RHUMB_GEO_BROKEN", says: /no metadata/ },
  { name: "absent.mmdb", open: openPlaceDatabase, code: "RHUMB_GEO_UNREADABLE", says: /there is no such file/ },
]) {
  test(`${open.name}() refuses ${name}, naming file and reason`, needsTestData, () => {
    const error = refusal(() => open(testData(name)));
    assert.equal(error.code, code);
    assert.match(error.message, says);
    assert.ok(error.message.includes(name));
  });
}

for (const recordBits of [24, 28, 32] as const) {
  for (const ipVersion of [4, 6] as const) {
    test(`openPlaceDatabase() reads records of ${recordBits} bits in an IPv${ipVersion} database`, () => {
      const places = placesOf(
        [network("10.0.0.0/8", place("DE")), network("192.0.2.0/25", place("US", "NA", -40.5, 179))],
        {
          ...MMDB_OPTIONS,
          recordBits,
          ipVersion,
        },
      );
      const found = networksOf(places.tree);
      assert.deepEqual([...found.keys()], ["10.0.0.0/8", "192.0.2.0/25"]);
      assert.deepEqual(places.places[found.get("192.0.2.0/25")!], {
        continent: "NA",
        country: "US",
        latitude: -40.5,
        longitude: 179,
      });
      assert.equal(places.tree.ipv6Root >= 0, ipVersion === 6);
    });
  }
}

test("openPlaceDatabase() refuses a database without a network", () => {
  assert.equal(refusal(() => placesOf([])).code, "RHUMB_GEO_EMPTY");
});

test("openPlaceDatabase() refuses impossible places and codes", () => {
  for (const record of [
    place("DE", "EU", 91),
    place("DE", "EU", 0, 181),
    place("de"),
    { location: { latitude: 1 } },
    place("DEU"),
  ])
    assert.equal(refusal(() => placesOf([network("10.0.0.0/8", record)])).code, "RHUMB_GEO_BROKEN");
});

test("openPlaceDatabase() takes a database where one place covers all of IPv4", () => {
  const places = placesOf([network("0.0.0.0/0", place("DE"))]);
  assert.equal(places.tree.ipv4Root < 0, true);
  assert.equal(places.tree.networks, 1);
});

test("openAsnDatabase() keeps 32-bit AS numbers", () => {
  assert.deepEqual(
    asnsOf({ "10.0.0.0/8": 4_294_967_295, "2a02::/16": 64_500 }).asns.slice().sort(),
    [0, 4_294_967_295, 64_500],
  );
});

/** The search tree of `writeMmdb` with 24-bit records; edits one record. */
function withRecord(bytes: Buffer, node: number, side: 0 | 1, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUIntBE(value, node * 6 + side * 3, 3);
  return copy;
}
test("openPlaceDatabase() refuses circles, shared nodes and trees that are too deep", () => {
  const options = { ...MMDB_OPTIONS, recordBits: 24, ipVersion: 4 } as const;
  const bytes = writeMmdb([network("10.0.0.0/8", place("DE")), network("10.9.9.9/32", place("US"))], options);
  for (const [node, side, target, says] of [
    [3, 1, 0, /circle/],
    [9, 1, 4, /two parents/],
    [9, 1, 15, /two parents/],
  ] as const)
    assert.match(refusal(() => openPlaceDatabase("t.mmdb", withRecord(bytes, node, side, target))).message, says);
  const deep = writeMmdb([network("2a02::1/128", place("DE"))], { ...options, ipVersion: 6 });
  const asIpv4 = Buffer.from(deep);
  const at = asIpv4.lastIndexOf("ip_version") + "ip_version".length;
  assert.deepEqual([asIpv4[at], asIpv4[at + 1]], [0xa1, 6]);
  asIpv4[at + 1] = 4;
  assert.match(refusal(() => openPlaceDatabase("t.mmdb", asIpv4)).message, /deeper than 32 bits/);
});

test("openPlaceDatabase() refuses or takes mutated and cut-off files, and never throws anything else", () => {
  const demo = readFileSync(join(import.meta.dirname, "../../geo-data/demo.mmdb"));
  const rng = createSeededRng(7);
  const outcomes = { taken: 0, refused: 0 };
  for (let round = 0; round < 3_000; round++) {
    let bytes: Buffer = Buffer.from(demo);
    if (round % 4 === 0) bytes = bytes.subarray(0, Math.floor(rng() * bytes.length));
    else {
      // Metadata and data are small parts of the file: half of the rounds go there.
      const from = round % 2 === 0 ? Math.floor(bytes.length * 0.38) : 0;
      for (let edits = 1 + Math.floor(rng() * 4); edits > 0; edits--)
        bytes[from + Math.floor(rng() * (bytes.length - from))] = Math.floor(rng() * 256);
    }
    try {
      build(openPlaceDatabase("mutated.mmdb", bytes));
      outcomes.taken++;
    } catch (error) {
      assert.ok(error instanceof RhumbError, `round ${round}: ${error instanceof Error ? error.stack : error}`);
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.taken > 100 && outcomes.refused > 1_000, JSON.stringify(outcomes));
});

test("openPlaceDatabase() works on shared memory", () => {
  const bytes = writeMmdb([network("10.0.0.0/8", place("DE"))], MMDB_OPTIONS);
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(shared);
  assert.equal(openPlaceDatabase("t.mmdb", shared).places[1]!.country, "DE");
  assert.ok(cidr("10.0.0.0/8"));
});
