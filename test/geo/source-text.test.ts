import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { openPlaceDatabase } from "#geo/database.ts";
import { writeMmdb } from "#geo/mmdb-writer.ts";
import { parseGeoSource } from "#geo/source-text.ts";

const geoData = join(import.meta.dirname, "../../geo-data");

test("geo-data/demo.mmdb is what geo-data/demo.txt makes", () => {
  const { source, problems } = parseGeoSource(readFileSync(join(geoData, "demo.txt"), "utf8"), "demo.txt");
  assert.deepEqual(problems, []);
  const bytes = writeMmdb(source.networks, source.options);
  assert.ok(
    bytes.equals(readFileSync(join(geoData, "demo.mmdb"))),
    "run `rhumb geo build geo-data/demo.txt -o geo-data/demo.mmdb`",
  );
  assert.ok(bytes.length < 64 * 1024);
});

test("the demo world has every continent and only networks that no client on the Internet has", () => {
  const { source } = parseGeoSource(readFileSync(join(geoData, "demo.txt"), "utf8"), "demo.txt");
  const { places } = openPlaceDatabase(join(geoData, "demo.mmdb"));
  assert.deepEqual([...new Set(places.map(({ continent }) => continent))].sort(), [
    "",
    "AF",
    "AN",
    "AS",
    "EU",
    "NA",
    "OC",
    "SA",
  ]);
  for (const { cidr } of source.networks) {
    const text = [...cidr.bytes.slice(0, 4)].join(".");
    assert.match(text, /^(192\.0\.2|198\.51\.100|203\.0\.113|198\.1[89]\.\d+|32\.1\.13\.184)(\.0)?$/);
  }
});

for (const { name, line, says } of [
  { name: "bad network", line: "10.0.0.1/8  EU  DE", says: /^t:2:1: 10\.0\.0\.1\/8 is not a network/ },
  { name: "unknown continent", line: "10.0.0.0/8  XX  DE", says: /XX is no continent: use AF, AN/ },
  { name: "unknown country", line: "10.0.0.0/8  EU  QQ", says: /QQ is no country code/ },
  { name: "half a place", line: "10.0.0.0/8  EU  DE  1  -", says: /both coordinates/ },
  { name: "place off the Earth", line: "10.0.0.0/8  EU  DE  91  0", says: /91, 0 is no place/ },
  { name: "text as a coordinate", line: "10.0.0.0/8  EU  DE  x  0", says: /x, 0 is no place/ },
  { name: "too few columns", line: "10.0.0.0/8 EU DE", says: /10\.0\.0\.0\/8 EU DE is not a network/ },
  { name: "too many columns", line: "10.0.0.0/8  EU  DE  1  2  City  more", says: /7 columns/ },
  { name: "unknown directive", line: "@colour red", says: /@colour is no directive/ },
  { name: "bad time", line: "@built yesterday", says: /yesterday is no time/ },
  { name: "late kind", line: "10.0.0.0/8  EU  DE\n@kind asn", says: /@kind stands before/ },
  {
    name: "the same network twice",
    line: "10.0.0.0/8  EU  DE\n10.0.0.0/8  EU  FR",
    says: /^t:3:1: 10\.0\.0\.0\/8 stands in line 2 already/,
  },
  { name: "bad AS number", line: "@kind asn\n10.0.0.0/8  ASX", says: /ASX is no AS number/ },
]) {
  test(`parseGeoSource() names the line of: ${name}`, () => {
    const { problems } = parseGeoSource(`# comment\n${line}\n`, "t");
    assert.equal(problems.length, 1);
    assert.match(formatProblem(problems[0]!), says);
  });
}

test("parseGeoSource() reports every problem at once, and an empty source", () => {
  assert.equal(parseGeoSource("x\ny\nz\n", "t").problems.length, 3);
  assert.match(parseGeoSource("# nothing\n", "t").problems[0]!.says, /no network/);
});

test("parseGeoSource() reads tabs, dashes and AS sources", () => {
  const city = parseGeoSource("10.0.0.0/8\tEU\t-\t-\t-\tSome Town\n192.0.2.0/24  -  US  1.5  -2\n", "t");
  assert.deepEqual(city.problems, []);
  assert.deepEqual(
    city.source.networks.map(({ record }) => record),
    [
      { city: { names: { en: "Some Town" } }, continent: { code: "EU" } },
      { country: { iso_code: "US" }, location: { latitude: 1.5, longitude: -2 } },
    ],
  );
  const asn = parseGeoSource("@kind asn\n@type My-ASN\n10.0.0.0/8  AS64500  Example Net\n", "t");
  assert.deepEqual(asn.source.networks[0]!.record, {
    autonomous_system_number: 64_500,
    autonomous_system_organization: "Example Net",
  });
  assert.equal(asn.source.options.databaseType, "My-ASN");
});
