import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { hashText } from "#base/hash.ts";
import { runGeoBuild, runGeoLookup } from "#cli/geo.ts";
import type { RegionSpec } from "#state/snapshot.ts";
import { override } from "../geo/maker.ts";

const demo = join(import.meta.dirname, "../../geo-data/demo.mmdb");
const source = join(import.meta.dirname, "../../geo-data/demo.txt");
const lookup = { database: demo, asnDatabase: undefined, json: false };

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-geo-cli-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
const region = (id: string, continent: string, latitude: number, longitude: number): RegionSpec => ({
  id,
  hash: hashText(id),
  latitude,
  longitude,
  continent,
  country: "",
  v4: [],
  v6: [],
  capacityRps: undefined,
  balancerUrl: undefined,
  check: undefined,
  upThreshold: 0.5,
  target: 0,
  addressTargets: [],
});
const config = {
  regions: [region("us-east", "NA", 39, -77), region("eu-west", "EU", 53, -6), region("ap-south", "AS", 19, 73)],
  overrides: [override({ network: "203.0.113.0/24", regions: ["us-east", "ap-south"] })],
};

test("runGeoBuild() makes the committed demo database from its text, and leaves nothing else behind", (context) => {
  const folder = folderOf(context);
  const output = join(folder, "demo.mmdb");
  const { exitCode, out } = runGeoBuild({ source, output });
  assert.equal(exitCode, 0);
  assert.match(out, /Rhumb-Demo-City, 134 networks, \d+ octets, built 2026-01-01T00:00:00\.000Z/);
  assert.ok(readFileSync(output).equals(readFileSync(demo)));
  assert.deepEqual(readdirSync(folder), ["demo.mmdb"]);
});

test("runGeoBuild() names all lines that are wrong, and writes nothing", (context) => {
  const folder = folderOf(context);
  const text = join(folder, "bad.txt");
  writeFileSync(text, "10.0.0.0/8  XX  DE\n10.0.0.0/33  EU  DE\n");
  const { exitCode, err } = runGeoBuild({ source: text, output: join(folder, "out.mmdb") });
  assert.equal(exitCode, 1);
  assert.match(err, /bad\.txt:1:1: XX is no continent.*\n.*bad\.txt:2:1: 10\.0\.0\.0\/33 is not a network/);
  assert.equal(existsSync(join(folder, "out.mmdb")), false);
});

test("runGeoBuild() fails in one sentence without a source or a folder to write to", (context) => {
  const folder = folderOf(context);
  assert.match(runGeoBuild({ source: join(folder, "none"), output: join(folder, "x") }).err, /Cannot read .*none/);
  const { exitCode, err } = runGeoBuild({ source, output: join(folder, "no", "x.mmdb") });
  assert.equal(exitCode, 1);
  assert.match(err, /Cannot write the geo database .*ENOENT/);
});

test("runGeoLookup() shows record, place and regions in order", () => {
  const { exitCode, out } = runGeoLookup({ ...lookup, address: "198.51.100.7", config });
  assert.equal(exitCode, 0);
  assert.match(out, /^network +198\.51\.100\.0\/24$/m);
  assert.match(out, /^name +Cologne$/m);
  assert.match(out, /^taken for +EU\/DE at 50\.94, 6\.96$/m);
  assert.match(out, /^regions +eu-west +match: continent, \d+ km\n +us-east/m);
});

test("runGeoLookup() lets an override go before the database, in its order", () => {
  const { out } = runGeoLookup({ ...lookup, address: "203.0.113.5", json: true, config });
  const found = JSON.parse(out);
  assert.equal(found.location.override, "203.0.113.0/24 prefers us-east, ap-south");
  assert.deepEqual(
    found.regions.map(({ id, match }: { id: string; match: string }) => `${id} ${match}`),
    ["us-east network", "ap-south network", "eu-west none"],
  );
  assert.equal(found.record.city.names.en, "Tokyo");
});

test("runGeoLookup() looks into 6to4 and mapped addresses, and not into Teredo", () => {
  const of = (address: string) => JSON.parse(runGeoLookup({ ...lookup, address, json: true }).out);
  assert.deepEqual([of("2002:c633:6407::1").looksUp, of("2002:c633:6407::1").location.country], ["198.51.100.7", "DE"]);
  assert.equal(of("::ffff:203.0.113.9").location.country, "JP");
  assert.deepEqual([of("2001:0:c633:6407::").location.isKnown, of("2001:0:c633:6407::").network], [false, null]);
  assert.deepEqual(
    [of("127.0.0.1").location.isKnown, of("127.0.0.1").record, of("127.0.0.1").regions],
    [false, null, null],
  );
});

test("runGeoLookup() tells wrong use from a file it cannot use", (context) => {
  assert.deepEqual(
    [
      runGeoLookup({ ...lookup, address: "example.com" }).exitCode,
      runGeoLookup({ ...lookup, database: undefined, address: "10.0.0.1" }).exitCode,
    ],
    [2, 2],
  );
  const broken = join(folderOf(context), "cut.mmdb");
  writeFileSync(broken, readFileSync(demo).subarray(0, 1_000));
  const { exitCode, err } = runGeoLookup({ ...lookup, database: broken, address: "10.0.0.1" });
  assert.equal(exitCode, 1);
  assert.match(err, /Cannot use the geo database .*cut\.mmdb: it has no metadata.*\nDownload/);
});
