/**
 * A City database of a wanted number of search nodes, for the steered loads. Generated, so that anyone gets the same
 * octets: seeded, no date, no data by others.
 *
 * Neighbouring networks lie in different places, which real ones seldom do: a server that folds equal neighbours into
 * one (rhumb and gdnsd do) keeps millions of nodes, and so the worst that a real database could be.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSeededRng } from "#base/rng.ts";
import { type MmdbNetwork, writeMmdb } from "#geo/mmdb-writer.ts";

const FOLDER = join(import.meta.dirname, "../../node_modules/.cache/rhumb-bench");
/** Share of the networks that are IPv4. */
const IPV4_SHARE = 0.7;
/** Networks that a share of one becomes: halves are uneven. */
const NETWORKS_PER_SHARE = 1.43;
/** libmaxminddb takes no database that was built at 0. */
const BUILT_AT_MS = Date.UTC(2026, 0, 1);
/** Places that networks are in. */
const CITIES = 50_000;
/** Middles of countries that the places lie around, by at most `SPREAD_DEGREES`. */
const COUNTRIES: readonly [country: string, continent: string, latitude: number, longitude: number][] = [
  ["US", "NA", 39, -98],
  ["CA", "NA", 56, -106],
  ["DE", "EU", 51, 10],
  ["FR", "EU", 47, 2],
  ["JP", "AS", 36, 138],
  ["IN", "AS", 22, 79],
  ["BR", "SA", -10, -53],
  ["AR", "SA", -34, -64],
  ["ZA", "AF", -29, 25],
  ["KE", "AF", 0, 38],
  ["AU", "OC", -25, 134],
  ["NZ", "OC", -41, 171],
];
const SPREAD_DEGREES = 8;

/**
 * Splits a family's space at random into about `count` networks.
 * @param maxBits nothing is narrower: /24 and /48 are what resolvers send of an address (RFC 7871 §11.1)
 */
function partition(start: Uint8Array, startBits: number, maxBits: number, count: number, rng: () => number) {
  const networks: { bytes: Uint8Array; bits: number }[] = [];
  const visit = (bytes: Uint8Array, bits: number, share: number): void => {
    if (share <= 1 || bits === maxBits) {
      networks.push({ bytes, bits });
      return;
    }
    const one = bytes.slice();
    one[bits >>> 3]! |= 0x80 >>> (bits & 7);
    const left = share * (0.35 + rng() * 0.3);
    visit(bytes, bits + 1, left);
    visit(one, bits + 1, share - left);
  };
  visit(start, startBits, count);
  return networks;
}

/** @param nodes about as many search nodes: a tree of n networks has n − 1 of them, and some for the way to its roots */
export function cityDatabase(nodes: number): Buffer {
  const rng = createSeededRng(nodes);
  const near = (degrees: number) => Math.round((degrees + (rng() * 2 - 1) * SPREAD_DEGREES) * 10_000) / 10_000;
  const cities = Array.from({ length: CITIES }, (_, index) => {
    const [country, continent, latitude, longitude] = COUNTRIES[index % COUNTRIES.length]!;
    return {
      city: { geoname_id: index + 1, names: { en: `City ${index}` } },
      continent: { code: continent, names: { en: continent } },
      country: { iso_code: country, names: { en: country } },
      location: { latitude: near(latitude), longitude: near(longitude), time_zone: "Etc/UTC" },
    };
  });
  const shares = nodes / NETWORKS_PER_SHARE;
  const ipv6 = new Uint8Array(16);
  ipv6[0] = 0x20; // 2000::/3, what is given out
  const networks: MmdbNetwork[] = [
    ...partition(new Uint8Array(4), 0, 24, shares * IPV4_SHARE, rng),
    ...partition(ipv6, 3, 48, shares * (1 - IPV4_SHARE), rng),
  ].map((cidr) => ({ cidr, record: cities[Math.floor(rng() * CITIES)]! }));
  return writeMmdb(networks, { databaseType: "Bench-City", description: "generated", builtAtMs: BUILT_AT_MS });
}

/**
 * The database's path; written on the first call, which takes minutes for millions of nodes, in a process of its own
 * that gives its memory back.
 */
export function cityDatabaseFile(nodes: number): string {
  const file = join(FOLDER, `city-${nodes}.mmdb`);
  if (!existsSync(file)) {
    process.stdout.write(`Writing a City database of ${nodes.toLocaleString("en")} nodes to ${file} …\n`);
    const args = ["--max-old-space-size=8192", import.meta.filename, String(nodes), file];
    if (spawnSync(process.execPath, args, { stdio: "inherit" }).status !== 0) throw new Error(`${file}: not written`);
  }
  return file;
}

if (import.meta.main) {
  const [nodes, file] = process.argv.slice(2);
  if (!(Number(nodes) > 0) || file === undefined) throw new Error("Usage: node bench/lib/dns-city.ts NODES FILE");
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(`${file}.part`, cityDatabase(Number(nodes)));
  renameSync(`${file}.part`, file);
}
