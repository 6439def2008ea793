import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createGeoLoader } from "#app/geo-loader.ts";
import { createManualClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { hashText } from "#base/hash.ts";
import { parseIp } from "#base/ip.ts";
import { silentLog } from "#base/log.ts";
import { writeMmdb } from "#geo/mmdb-writer.ts";
import { classOf, walk } from "#geo/walk.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { GeoSnapshot, RegionSpec } from "#state/snapshot.ts";
import { MMDB_OPTIONS, network, override, place, spec } from "../geo/maker.ts";

const region = (id: string, continent: string): RegionSpec => ({
  id,
  hash: hashText(id),
  latitude: 0,
  longitude: 0,
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
const REGIONS = [region("a", "EU"), region("b", "NA")];
const geoOf = (database: string | undefined, extra: Partial<GeoSnapshot> = {}): GeoSnapshot => ({
  database,
  asnDatabase: undefined,
  overrides: [],
  maps: [spec()],
  ...extra,
});
const world = (continent: string, count = 10) =>
  writeMmdb(
    Array.from({ length: count }, (_, index) => network(`10.${index}.0.0/16`, place("DE", continent, index % 2, 0))),
    MMDB_OPTIONS,
  );

function start(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-geo-"));
  const clock = createManualClock();
  const events: RhumbEvent[] = [];
  const published: { maps: readonly ClientMap[]; rtt: RttMap | undefined }[] = [];
  let wake = Promise.withResolvers<void>();
  const happened = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const loader = createGeoLoader({
    log: silentLog,
    emit: (event) => {
      events.push(event);
      happened();
    },
    clock,
    onMaps: (maps, rtt) => {
      published.push({ maps, rtt });
      happened();
    },
    settleMs: 100,
    pollMs: 1_000,
  });
  context.after(async () => {
    await loader.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, "geo.mmdb");
  return {
    loader,
    clock,
    events,
    published,
    file,
    /** As geoipupdate does: a new file, renamed over the old one. */
    replace(bytes: Buffer) {
      writeFileSync(`${file}.new`, bytes);
      renameSync(`${file}.new`, file);
    },
    /** Lets the watch look twice, and waits until `isDone`. */
    async settle(isDone: () => boolean) {
      const next = wake.promise;
      clock.advance(1_000);
      clock.advance(100);
      for (let waiting = next; !isDone(); waiting = wake.promise) await waiting;
    },
    labelOf(text: string) {
      const map = published.at(-1)!.maps[0]!;
      return map.classes[classOf(walk(map.nodes, parseIp(text)!, text.includes(":")))]!;
    },
    kinds: () => events.map(({ kind, severity }) => `${kind}/${severity}`),
  };
}

test("createGeoLoader() builds maps, says what it loaded, and looks addresses up", async (context) => {
  const { loader, file, replace, labelOf, kinds, published } = start(context);
  replace(world("EU"));
  const overrides = [override({ network: "192.0.2.0/24", regions: ["b"] })];
  const maps = await loader.apply(geoOf(file, { overrides }), REGIONS);
  assert.equal(maps, published[0]!.maps);
  assert.deepEqual(labelOf("10.1.2.3").match, [1, 0]);
  assert.deepEqual(labelOf("192.0.2.1").match, [0, 4]);
  assert.equal(labelOf("11.0.0.1").isKnown, false);
  assert.deepEqual(kinds(), ["geo.loaded/info"]);
  const { location, network: found } = loader.lookup(parseIp("10.1.2.3")!);
  assert.deepEqual([location.country, found], ["DE", "10.1.0.0/16"]);
  const { database, maps: infos } = loader.info();
  assert.deepEqual(
    [database?.file, database?.type, database?.networks, database?.problem],
    [file, "Test-City", 10, null],
  );
  assert.equal(infos[0]!.generation, maps[0]!.generation);
  assert.ok(maps[0]!.nodes.buffer instanceof SharedArrayBuffer);
});

test("createGeoLoader() serves unknown clients without a database, raises an alarm, and ends it when one comes", async (context) => {
  const { loader, file, replace, labelOf, kinds, settle, events } = start(context);
  const maps = await loader.apply(geoOf(file), REGIONS);
  assert.equal(maps.length, 1);
  assert.equal(labelOf("10.1.2.3").isKnown, false);
  assert.deepEqual(kinds(), ["geo.refused/alarm"]);
  assert.match(events[0]!.says, /there is no such file.*default order/);
  replace(world("EU"));
  // Told when it is in use, and not before.
  await settle(() => kinds().includes("geo.refused/resolved"));
  assert.ok(labelOf("10.1.2.3").isKnown);
  assert.deepEqual(kinds(), ["geo.refused/alarm", "geo.loaded/info", "geo.refused/resolved"]);
});

test("createGeoLoader() takes a replaced file as a whole", async (context) => {
  const { loader, file, replace, labelOf, settle, published } = start(context);
  replace(world("EU"));
  await loader.apply(geoOf(file), REGIONS);
  replace(world("NA"));
  await settle(() => published.length === 2);
  assert.deepEqual(labelOf("10.1.2.3").match, [0, 1]);
  assert.ok(published[1]!.maps[0]!.generation > published[0]!.maps[0]!.generation);
  assert.equal(loader.lookup(parseIp("10.1.2.3")!).location.continent, "NA");
});

test("createGeoLoader() keeps the old database when the new one is broken or emptier, unless forced", async (context) => {
  const { loader, file, replace, labelOf, settle, published, events, kinds } = start(context);
  replace(world("EU"));
  await loader.apply(geoOf(file), REGIONS);
  replace(world("NA").subarray(0, 200));
  await settle(() => events.length === 2);
  assert.match(events[1]!.says, /no metadata.*stays in use/);
  assert.match(loader.info().database!.problem!, /no metadata/);
  replace(world("EU", 5));
  await settle(() => events.length === 3);
  assert.match(events[2]!.says, /5 networks, 50 % fewer than the 10 in use/);
  assert.deepEqual(events[2]!.data, { code: "RHUMB_GEO_EMPTIER" });
  assert.deepEqual(kinds(), ["geo.loaded/info", "geo.refused/alarm", "geo.refused/alarm"]);
  assert.equal(published.length, 1);
  assert.equal(labelOf("10.9.0.1").isKnown, true);
  assert.equal(loader.lookup(parseIp("10.9.0.1")!).location.country, "DE");

  // A change of configuration builds from what serves, not from the refused file.
  await loader.apply(geoOf(file, { overrides: [override({ network: "192.0.2.0/24", regions: ["b"] })] }), REGIONS);
  assert.equal(labelOf("10.9.0.1").isKnown, true);
  assert.deepEqual(labelOf("192.0.2.1").match, [0, 4]);
  assert.equal(events.length, 3);

  assert.deepEqual(await loader.reload(true), []);
  assert.equal(labelOf("10.9.0.1").isKnown, false);
  assert.equal(loader.info().database!.problem, null);
  assert.equal(events.at(-1)!.severity, "resolved");
});

test("createGeoLoader() does not compare a file under another name", async (context) => {
  const { loader, file, replace, labelOf } = start(context);
  replace(world("EU", 10));
  await loader.apply(geoOf(file), REGIONS);
  writeFileSync(`${file}.small`, world("EU", 1));
  await loader.apply(geoOf(`${file}.small`), REGIONS);
  assert.equal(labelOf("10.9.0.1").isKnown, false);
  await loader.apply(geoOf(undefined), REGIONS);
  assert.equal(labelOf("10.0.0.1").isKnown, false);
  assert.equal(loader.info().database, null);
});

test("createGeoLoader() builds nothing when nothing changed", async (context) => {
  const { loader, file, replace, published, kinds } = start(context);
  replace(world("EU"));
  const first = await loader.apply(geoOf(file), REGIONS);
  assert.equal(await loader.apply(geoOf(file), REGIONS), first);
  assert.equal(published.length, 1);
  await loader.apply(geoOf(file), [region("a", "NA"), region("b", "EU")]);
  assert.equal(published.length, 2);
  assert.deepEqual(kinds(), ["geo.loaded/info"], "the file is read once");
});

test("createGeoLoader() puts measured latency into use, and refuses a bad request whole", async (context) => {
  const { loader, published } = start(context);
  await loader.apply(geoOf(undefined), REGIONS);
  await loader.setLatency([{ network: "10.0.0.0/8", rttMs: { b: 12.5 } }], false);
  const { rtt, maps } = published.at(-1)!;
  assert.equal(maps.length, 1);
  const row = classOf(walk(rtt!.nodes, parseIp("10.1.2.3")!, false));
  assert.deepEqual([...rtt!.rttMicros.subarray(row * 2, row * 2 + 2)], [0, 12_500]);
  assert.deepEqual(rtt!.regionIds, ["a", "b"]);
  await assert.rejects(
    loader.setLatency([{ network: "x", rttMs: { nowhere: 1 } }], true),
    (error) =>
      error instanceof RhumbError && error.code === "RHUMB_GEO_LATENCY_INVALID" && /entries\[0\]/.test(error.message),
  );
  assert.deepEqual(loader.info().latency, { generation: rtt!.generation, networks: 1 });
  assert.equal(loader.latency(10)[0]!.network, "10.0.0.0/8");
  // Regions that change places keep their columns.
  await loader.apply(geoOf(undefined), [REGIONS[1]!, REGIONS[0]!]);
  const after = published.at(-1)!.rtt!;
  const nextRow = classOf(walk(after.nodes, parseIp("10.1.2.3")!, false));
  assert.deepEqual([...after.rttMicros.subarray(nextRow * 2, nextRow * 2 + 2)], [12_500, 0]);
});

test("createGeoLoader() forgets measured latency after a day", async (context) => {
  const { loader, clock, published, settle } = start(context);
  await loader.apply(geoOf(undefined), REGIONS);
  await loader.setLatency([{ network: "10.0.0.0/8", rttMs: { b: 12.5 } }], false);
  const before = published.length;
  clock.advance(86_400_000);
  clock.advance(3_600_000);
  await settle(() => published.length > before);
  await loader.apply(geoOf(undefined), REGIONS); // queued behind: the build is over
  assert.equal(classOf(walk(published.at(-1)!.rtt!.nodes, parseIp("10.1.2.3")!, false)), 0);
  assert.equal(loader.info().latency.networks, 0);
});
