/**
 * Geo: time and memory to open a generated City database and to build a map from it, and ns per walk beside mmdb-lib.
 *
 * Usage: node bench/geo.ts [--quick] [--json FILE]
 *        RHUMB_BENCH_NETWORKS=3000000 node bench/geo.ts      near the size of a real City database
 *        Times are CPU time of this process.
 */
import { Reader } from "mmdb-lib";
import { hashText } from "#base/hash.ts";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { buildClientMap } from "#geo/build.ts";
import { openPlaceDatabase } from "#geo/database.ts";
import { takeFingerprint } from "#geo/fingerprint.ts";
import { type MmdbNetwork, writeMmdb } from "#geo/mmdb-writer.ts";
import { walk } from "#geo/walk.ts";
import type { ClientMap } from "#state/client-map.ts";
import type { MapSpec, RegionSpec } from "#state/snapshot.ts";
import { createClassifier } from "#steer/classify.ts";
import { describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- geo");
const networkCount = Number(process.env["RHUMB_BENCH_NETWORKS"] ?? (isQuick ? 200_000 : 1_000_000));
const walks = isQuick ? 2_000_000 : 10_000_000;
const rng = createSeededRng(1);

const PLACES: readonly [country: string, continent: string, latitude: number, longitude: number][] = [
  ["US", "NA", 39, -98],
  ["DE", "EU", 51, 10],
  ["FR", "EU", 47, 2],
  ["JP", "AS", 36, 138],
  ["IN", "AS", 22, 79],
  ["BR", "SA", -10, -53],
  ["ZA", "AF", -29, 25],
  ["AU", "OC", -25, 134],
];
const cities = Array.from({ length: 50_000 }, (_, index) => {
  const [country, continent, latitude, longitude] = PLACES[index % PLACES.length]!;
  const near = (degrees: number) => Math.round((degrees + rng() * 10 - 5) * 10_000) / 10_000;
  return {
    city: { geoname_id: index, names: { en: `City ${index}` } },
    continent: { code: continent, names: { en: continent, de: continent, fr: continent } },
    country: { iso_code: country, names: { en: country, de: country, fr: country } },
    location: { accuracy_radius: 20, latitude: near(latitude), longitude: near(longitude), time_zone: "Etc/UTC" },
  };
});

/** Splits the space at random down to `count` networks; countries come in runs, as registries give them out. */
function partition(isIpv6: boolean, count: number): MmdbNetwork[] {
  const networks: MmdbNetwork[] = [];
  const head = isIpv6 ? 3 : 0;
  const maxBits = isIpv6 ? 56 : 28;
  const visit = (bytes: Uint8Array, bits: number, share: number, country: number): void => {
    if (share <= 1 || bits === maxBits) {
      const index = Math.floor((rng() * cities.length) / PLACES.length) * PLACES.length + country;
      if (rng() < 0.95) networks.push({ cidr: { bytes, bits }, record: cities[index]! });
      return;
    }
    const one = bytes.slice();
    one[bits >>> 3]! |= 0x80 >>> (bits & 7);
    const left = share * (0.3 + rng() * 0.4);
    const drift = () => (bits < head + 12 && rng() < 0.6 ? Math.floor(rng() * PLACES.length) : country);
    visit(bytes, bits + 1, left, drift());
    visit(one, bits + 1, share - left, drift());
  };
  const start = new Uint8Array(isIpv6 ? 16 : 4);
  if (isIpv6) start[0] = 0x20;
  visit(start, head, count, 0);
  return networks;
}

const rssMiB = () => Math.round(process.memoryUsage().rss / 1_048_576);
function timed<T>(what: string, run: () => T): { readonly result: T; readonly ms: number } {
  const before = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(before);
  const ms = Math.round((user + system) / 1_000);
  process.stdout.write(`${what.padEnd(34)} ${String(ms).padStart(7)} ms CPU   RSS ${rssMiB()} MiB\n`);
  return { result, ms };
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
const regions = [region("us-east", "NA", 39, -77), region("eu-west", "EU", 53, -6), region("ap-south", "AS", 19, 73)];
const regionIds = regions.map(({ id }) => id);
const nearest = [{ bias: {}, slackKm: 0 }];
const geoSpec: MapSpec = {
  mapId: "geo",
  regionIds,
  usesGeo: true,
  nearest,
  usesLatency: false,
  fences: [],
  vantage: undefined,
};
const latencySpec: MapSpec = { ...geoSpec, mapId: "latency", usesGeo: false, nearest: [], usesLatency: true };

const bytes = timed(`write ${networkCount} networks`, () =>
  writeMmdb([...partition(false, networkCount * 0.8), ...partition(true, networkCount * 0.2)], {
    databaseType: "Bench-City",
    description: "generated",
    builtAtMs: 0,
  }),
).result;
const nodeCount = new Reader(bytes).metadata.nodeCount;
process.stdout.write(`${nodeCount} nodes, ${(bytes.length / 1_048_576).toFixed(1)} MiB\n`);
globalThis.gc?.();
const opened = timed("open and validate", () => openPlaceDatabase("bench.mmdb", bytes));
timed("fingerprint", () => takeFingerprint(opened.result));
const buildMap = (spec: MapSpec, places = opened.result) =>
  timed(`build map ${spec.mapId}`, () =>
    buildClientMap({
      spec,
      places,
      asns: undefined,
      overrides: [],
      classify: createClassifier(spec, regions),
      generation: 1,
    }),
  );
const geo = buildMap(geoSpec);
const latency = buildMap(latencySpec);
const small = buildMap(
  { ...geoSpec, mapId: "demo" },
  openPlaceDatabase(`${import.meta.dirname}/../geo-data/demo.mmdb`),
);

const addresses = (isIpv6: boolean): Uint8Array[] =>
  Array.from({ length: 65_536 }, () => {
    const address = Uint8Array.from({ length: isIpv6 ? 16 : 4 }, () => Math.floor(rng() * 256));
    if (isIpv6) address[0] = 0x20 | (address[0]! & 0x1f);
    return address;
  });
/** CPU time, since other work on the machine would count into the time on the wall. The address lies in one buffer, as in a worker. */
function nsPerWalk(map: ClientMap, isIpv6: boolean): number {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  const rounds = Array.from({ length: 5 }, () => {
    let sum = 0;
    let state = 1;
    const before = process.cpuUsage();
    for (let index = 0; index < walks / 5; index++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      const mixed = state ^ (state >>> 15);
      view.setUint32(0, isIpv6 ? 0x2000_0000 | (mixed & 0x1fff_ffff) : mixed);
      if (isIpv6) view.setUint32(4, state);
      sum += walk(map.nodes, address, isIpv6);
    }
    const { user } = process.cpuUsage(before);
    return (user * 1_000) / (walks / 5) + (sum === -1 ? 1 : 0);
  });
  return median(rounds);
}
const ratios: Record<string, number> = {};
const reader = new Reader(bytes);
for (const { map, report } of [geo.result, latency.result, small.result]) {
  const { leaves, mergedRatio, octets } = map.info;
  process.stdout.write(
    `${map.mapId}: ${map.classes.length} classes, ${leaves} leaves of ${report.productLeaves} (merged ${(mergedRatio * 100).toFixed(1)} %), ${(octets / 1_048_576).toFixed(1)} MiB, ${report.clampedBlocks} blocks clamped\n`,
  );
  for (const isIpv6 of [false, true]) {
    const list = addresses(isIpv6);
    const ours = nsPerWalk(map, isIpv6);
    const texts = list.map(formatIp);
    const before = process.cpuUsage();
    const gets = 100_000;
    for (let index = 0; index < gets; index++) reader.getWithPrefixLength(texts[index & 0xffff]!);
    const theirs = (process.cpuUsage(before).user * 1_000) / gets;
    ratios[`${map.mapId}.${isIpv6 ? "ipv6" : "ipv4"}.walk/mmdb-lib`] = ours / theirs;
    process.stdout.write(`  IPv${isIpv6 ? 6 : 4}: ${ours.toFixed(1)} ns a walk; mmdb-lib ${theirs.toFixed(0)} ns\n`);
  }
}
if (json !== undefined) {
  const rounds = { networkCount, nodeCount, openMs: opened.ms, buildMs: [geo.ms, latency.ms], rssMiB: rssMiB() };
  writeReport(json, { machine: describeMachine(), rounds, ratios });
}
