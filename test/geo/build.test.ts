import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { type AsnResponse, type CountryResponse, Reader } from "mmdb-lib";
import { type Cidr, cidrContains, formatIp, maskIp, parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { CLAMP_BITS } from "#geo/build.ts";
import { openAsnDatabase, openPlaceDatabase } from "#geo/database.ts";
import type { MmdbNetwork } from "#geo/mmdb-writer.ts";
import { classOf, depthOf, walk } from "#geo/walk.ts";
import type { ClientMap } from "#state/client-map.ts";
import { needsTestData, testData } from "./data.ts";
import {
  asnsOf,
  build,
  cidr,
  classifyAll,
  fence,
  narrowest,
  network,
  override,
  place,
  placesOf,
  randomBytes,
  randomCidr,
} from "./maker.ts";

const walkText = (map: ClientMap, text: string) => {
  const bytes = parseIp(text)!;
  const walked = walk(map.nodes, bytes, bytes.length === 16);
  return { label: map.classes[classOf(walked)]!.label, class: classOf(walked), depth: depthOf(walked) };
};
const UNKNOWN = "unknown///NaN/NaN/0///";
const DE = place("DE", "EU", 50, 8);
const US = place("US", "NA", 40, -70);

type Source = {
  continent?: { code: string };
  country?: { iso_code: string };
  location?: { latitude: number; longitude: number };
};
const labelOfRecord = (record: Source): string =>
  `known/${record.continent?.code ?? ""}/${record.country?.iso_code ?? ""}/${record.location?.latitude ?? Number.NaN}/${record.location?.longitude ?? Number.NaN}/0///`;

test("buildClientMap() agrees with every network of the City test database's source", needsTestData, () => {
  const { map } = build(openPlaceDatabase(testData("GeoLite2-City-Test.mmdb")));
  const lines = JSON.parse(readFileSync(testData("GeoLite2-City-Test.json"), "utf8")) as Record<string, Source>[];
  const sources = lines.flatMap((line) => Object.entries(line)).map(([text, record]) => ({ cidr: cidr(text), record }));
  assert.equal(sources.length, 242);
  let compared = 0;
  for (const source of sources) {
    const clamp = source.cidr.bytes.length === 4 ? CLAMP_BITS.v4 : CLAMP_BITS.v6;
    const block: Cidr = { bytes: maskIp(source.cidr.bytes, clamp), bits: clamp };
    // In a block that several networks share, the places with most addresses win, the first one on a tie.
    const votes = new Map<string, number>();
    for (const other of sources.filter((each) => cidrContains(block, each.cidr.bytes) && each.cidr.bits > clamp)) {
      const label = labelOfRecord(other.record);
      votes.set(label, (votes.get(label) ?? 0) + 2 ** -other.cidr.bits);
    }
    const most = Math.max(...votes.values());
    const expected =
      source.cidr.bits <= clamp ? labelOfRecord(source.record) : [...votes].find(([, weight]) => weight === most)![0];
    const found = walkText(map, formatIp(source.cidr.bytes));
    assert.equal(found.label, expected, formatIp(source.cidr.bytes));
    assert.ok(found.depth <= Math.min(clamp, source.cidr.bits) || source.cidr.bits > clamp);
    compared++;
  }
  assert.equal(compared, 242);
});

test("buildClientMap() agrees with mmdb-lib over a Country database", needsTestData, () => {
  const file = testData("GeoLite2-Country-Test.mmdb");
  const { map } = build(openPlaceDatabase(file));
  const reader = new Reader<CountryResponse>(readFileSync(file));
  const rng = createSeededRng(1);
  let known = 0;
  for (let round = 0; round < 20_000; round++) {
    // Where MaxMind's test data lies; whole blocks only, as a block may hold more than one network.
    const bytes =
      round % 2 === 0
        ? randomBytes(rng, 4)
        : Uint8Array.of(0x2a, 0x02, ...randomBytes(rng, 4), ...new Array(10).fill(0));
    if (round % 2 === 0)
      bytes.set(
        [
          [2, 125],
          [81, 2],
          [89, 160],
          [202, 196],
          [214, 78],
          [216, 160],
          [67, 43],
        ][round % 7]!,
      );
    const [record, bits] = reader.getWithPrefixLength(formatIp(bytes));
    if (bits > (bytes.length === 4 ? 24 : 48)) continue;
    if (record?.country || record?.continent) known++;
    assert.equal(
      walkText(map, formatIp(bytes)).label,
      record ? labelOfRecord(record as Source) : UNKNOWN,
      formatIp(bytes),
    );
  }
  assert.ok(known > 300, String(known));
});

test("buildClientMap() sees the AS numbers that mmdb-lib sees, where they are asked for", needsTestData, () => {
  const file = testData("GeoLite2-ASN-Test.mmdb");
  const asns = openAsnDatabase(file);
  const asked = asns.asns.slice(1, 60);
  const { map } = build(undefined, { asns, fences: [fence({ asns: asked })] });
  const reader = new Reader<AsnResponse>(readFileSync(file));
  const rng = createSeededRng(2);
  let seen = 0;
  for (let round = 0; round < 60_000; round++) {
    const text = formatIp(randomBytes(rng, 4));
    const [record, bits] = reader.getWithPrefixLength(text);
    if (bits > 24) continue;
    const asn = record && asked.includes(record.autonomous_system_number) ? record.autonomous_system_number : 0;
    if (asn > 0) seen++;
    assert.equal(walkText(map, text).label.split("/")[5], String(asn), text);
  }
  assert.ok(seen > 300, String(seen));
});

test("buildClientMap() without a database has one class, unknown, at depth 0", () => {
  const { map } = build(undefined);
  for (const text of ["198.51.100.7", "2001:db8::1", "::1", "2002:c000:201::", "::ffff:192.0.2.1"]) {
    assert.equal(walkText(map, text).class, 0, text);
    assert.equal(walkText(map, text).label, UNKNOWN);
  }
  assert.equal(map.info.leaves, 2);
  assert.equal(walkText(map, "198.51.100.7").depth, 0);
  assert.equal(walkText(map, "2001:db8::1").depth, 0);
});

test("buildClientMap() lets the most specific override win, then AS, then country", () => {
  const places = placesOf([network("10.0.0.0/8", DE), network("2a02::/16", DE)]);
  const overrides = [
    override({ country: "DE", regions: ["a"] }),
    override({ asn: 64_500, regions: ["b"] }),
    override({ network: "10.1.0.0/16", as: { continent: "AS", country: "JP", at: [35, 139] } }),
    override({ network: "10.1.2.0/24", regions: ["b", "a"] }),
    override({ network: "192.0.2.0/24", as: { continent: undefined, country: "BR", at: undefined } }),
  ];
  const { map } = build(places, { asns: asnsOf({ "10.0.0.0/15": 64_500, "2a02:1::/32": 64_500 }), overrides });
  for (const [address, label] of [
    ["10.200.0.1", "known/EU/DE/50/8/0/a/country/"],
    ["10.0.0.1", "known/EU/DE/50/8/64500/b/asn/"],
    ["10.1.0.1", "known/AS/JP/35/139/64500///"],
    ["10.1.2.1", "known/EU/DE/50/8/64500/b+a/network/"],
    ["2a02:1::1", "known/EU/DE/50/8/64500/b/asn/"],
    ["2a02:2::1", "known/EU/DE/50/8/0/a/country/"],
    ["192.0.2.9", "known/SA/BR/NaN/NaN/0///"],
    ["192.0.3.9", UNKNOWN],
  ] as const)
    assert.equal(walkText(map, address).label, label, address);
});

test("buildClientMap() reports what lies inside the networks of a fence, also unknown clients", () => {
  const { map } = build(placesOf([network("10.0.0.0/8", DE)]), {
    fences: [fence({ networks: ["10.1.0.0/16", "192.0.2.0/24"] }), fence({ networks: ["10.1.128.0/17", "2a02::/16"] })],
  });
  for (const [address, inside] of [
    ["10.0.0.1", "00"],
    ["10.1.0.1", "10"],
    ["10.1.200.1", "11"],
    ["192.0.2.1", "10"],
    ["2a02::1", "01"],
    ["2a03::1", "00"],
  ] as const)
    assert.equal(walkText(map, address).label.split("/").at(-1), inside, address);
});

for (const { name, networks, address, expected, depth } of [
  {
    name: "the majority of a /24",
    networks: ["10.0.0.0/25 DE", "10.0.0.128/26 US", "10.0.0.192/26 DE"],
    address: "10.0.0.200",
    expected: "DE",
    depth: 24,
  },
  {
    name: "the first half on a tie",
    networks: ["10.0.0.0/25 US", "10.0.0.128/25 DE"],
    address: "10.0.0.200",
    expected: "US",
    depth: 24,
  },
  {
    name: "the known before the unknown",
    networks: ["10.0.0.8/29 US"],
    address: "10.0.0.200",
    expected: "US",
    depth: 24,
  },
  {
    name: "the majority of a /48",
    networks: ["2a02::/64 US", "2a02:0:0:8000::/49 DE"],
    address: "2a02::1",
    expected: "DE",
    depth: 48,
  },
]) {
  test(`buildClientMap() clamps: ${name} decides`, () => {
    const records = networks.map((text) => network(text.split(" ")[0]!, text.endsWith("DE") ? DE : US));
    const { map, report } = build(placesOf(records));
    assert.deepEqual([walkText(map, address).label.split("/")[2], walkText(map, address).depth], [expected, depth]);
    assert.equal(report.clampedBlocks, 1);
  });
}

test("buildClientMap() does not count blocks whose parts agree", () => {
  const { report, map } = build(
    placesOf([network("10.0.0.0/24", DE), network("10.0.0.7/32", { ...DE, city: { names: { en: "X" } } })]),
  );
  assert.equal(report.clampedBlocks, 0);
  assert.equal(walkText(map, "10.0.0.7").label, labelOfRecord(DE));
});

test("buildClientMap() folds what one class holds together", () => {
  const quarters = ["10.0.0.0/10", "10.64.0.0/10", "10.128.0.0/10", "10.192.0.0/10"].map((text, index) =>
    network(text, { ...DE, city: { names: { en: String(index) } }, location: { latitude: index, longitude: 0 } }),
  );
  const classify: typeof classifyAll = (location) => ({ ...classifyAll(location), key: location.country });
  const { map } = build(placesOf(quarters), { classify });
  assert.equal(walkText(map, "10.99.0.1").depth, 8);
  assert.equal(map.classes.length, 2);
  assert.ok(map.info.mergedRatio > 0);
});

test("buildClientMap() places 6to4 by its IPv4 address and Teredo nowhere", () => {
  const { map } = build(placesOf([network("10.0.0.0/8", DE), network("2a00::/12", US)]));
  assert.deepEqual(
    [walkText(map, "2002:0a01:0203::1").label, walkText(map, "2002:0a01:0203::1").depth],
    [labelOfRecord(DE), 24],
  );
  // The file has MaxMind's aliases: without care Teredo would get the place of a relay.
  assert.equal(walkText(map, "2001:0:0a00:1::1").label, UNKNOWN);
  const own = build(placesOf([network("2001::/16", US)])).map;
  assert.deepEqual([walkText(own, "2001::1").label, walkText(own, "2001:1::1").label], [UNKNOWN, labelOfRecord(US)]);
  assert.equal(walkText(map, "::ffff:10.1.2.3").depth, 96 + 8);
  assert.equal(walkText(map, "::10.1.2.3").label, UNKNOWN);
});

test("buildClientMap() names networks of overrides that cannot work, and takes the mapped form", () => {
  const overrides = ["2002:a00::/24", "::1/128", "::ffff:192.0.2.0/120", "nonsense", "2001::/32"].map((text) =>
    override({ network: text, regions: ["a"] }),
  );
  const { map, report } = build(undefined, { overrides });
  assert.equal(report.ignored.length, 3);
  assert.match(
    report.ignored.join("\n"),
    /2002:a00::\/24 lies in 2002::\/16[\s\S]*::1\/128[\s\S]*nonsense is not a network/,
  );
  assert.equal(walkText(map, "192.0.2.1").label.split("/")[6], "a");
  assert.equal(walkText(map, "2001::1").label.split("/")[6], "a");
});

/** A random world: databases, overrides and fences that nest and overlap, narrower than the clamp too. */
function randomWorld(seed: number, maxBits: { v4: number; v6: number }) {
  const rng = createSeededRng(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(rng() * items.length)]!;
  const some = (): Cidr => {
    const isIpv6 = rng() < 0.5;
    return randomCidr(rng, isIpv6, isIpv6 ? maxBits.v6 : maxBits.v4);
  };
  const networks: MmdbNetwork[] = Array.from({ length: 30 }, () => ({
    cidr: some(),
    record: pick([DE, US, place("FR")]),
  }));
  const text = ({ bytes, bits }: Cidr) => `${formatIp(bytes)}/${bits}`;
  const overrides = Array.from({ length: 6 }, () => override({ network: text(some()), regions: [pick(["a", "b"])] }));
  const fences = [fence({ networks: Array.from({ length: 4 }, () => text(some())) })];
  return { rng, networks, overrides, fences, some, ...build(placesOf(networks), { overrides, fences }) };
}

test("buildClientMap() agrees with longest prefix match over random worlds", () => {
  for (let seed = 0; seed < 40; seed++) {
    const { networks, overrides, fences, map, some, rng } = randomWorld(seed, { v4: 24, v6: 48 });
    const rules = overrides.map((each) => ({ cidr: cidr(each.network!), each }));
    for (let round = 0; round < 200; round++) {
      const { bytes } = rng() < 0.8 ? some() : { bytes: randomBytes(rng, rng() < 0.5 ? 4 : 16) };
      const record = narrowest(networks, bytes)?.record;
      const rule = narrowest(rules, bytes)?.each;
      const isInside = fences[0]!.networks.some((each) => cidrContains(cidr(each), bytes));
      const base = record ? labelOfRecord(record as Source).split("/") : UNKNOWN.split("/");
      if (rule) base.splice(0, 1, "known");
      base.splice(6, 3, rule?.regions.join() ?? "", rule ? "network" : "", isInside ? "1" : "0");
      assert.equal(walkText(map, formatIp(bytes)).label, base.join("/"), `seed ${seed}: ${formatIp(bytes)}`);
    }
  }
});

test("buildClientMap(): who lies in an answer's network gets the same class (RFC 7871 §7.2.1)", () => {
  for (let seed = 100; seed < 140; seed++) {
    const { map, some, rng } = randomWorld(seed, { v4: 32, v6: 128 });
    for (let round = 0; round < 300; round++) {
      let { bytes: a } = some();
      if (round % 10 === 0)
        a = parseIp(["::1", "2002:a00:1::", "::ffff:10.0.1.0", "2001::1", "2000::1"][(round / 10) % 5]!)!;
      const isIpv6 = a.length === 16;
      const walked = walk(map.nodes, a, isIpv6);
      const depth = depthOf(walked);
      const isSpecial = isIpv6 && (a[0] === 0 || (a[0] === 0x20 && a[1] === 0x02));
      assert.ok(depth <= (isIpv6 ? 48 : 24) || isSpecial, `depth ${depth} of ${formatIp(a)}`);
      for (let other = 0; other < 10; other++) {
        const b = maskIp(a, depth);
        const noise = randomBytes(rng, a.length);
        const keep = maskIp(noise, depth);
        for (let at = 0; at < b.length; at++) b[at]! |= noise[at]! ^ keep[at]!;
        assert.equal(
          walk(map.nodes, b, isIpv6),
          walked,
          `seed ${seed}: ${formatIp(a)} and ${formatIp(b)} share /${depth}`,
        );
      }
    }
  }
});

test("buildClientMap(): leaves are disjoint and cover everything, walked one after the other", () => {
  for (let seed = 200; seed < 210; seed++) {
    const { map } = randomWorld(seed, { v4: 32, v6: 128 });
    for (const isIpv6 of [false, true]) {
      const bytes = new Uint8Array(isIpv6 ? 16 : 4);
      let covered = 0;
      for (let leaves = 0; covered < 1; leaves++) {
        assert.ok(leaves < 200_000, "the walk does not end");
        const depth = depthOf(walk(map.nodes, bytes, isIpv6));
        covered += 2 ** -depth;
        // The next address: add one at bit `depth`.
        for (let bit = depth - 1; bit >= 0; bit--) {
          const mask = 0x80 >>> (bit & 7);
          bytes[bit >>> 3]! ^= mask;
          if ((bytes[bit >>> 3]! & mask) !== 0) break;
        }
      }
      assert.equal(covered, 1);
      assert.ok(bytes.every((octet) => octet === 0));
    }
  }
});
