/**
 * Small databases and maps for tests: random networks, a classifier that tells every location apart, an oracle.
 * @module
 */
import { type Cidr, cidrContains, maskIp, parseCidr } from "#base/ip.ts";
import type { Rng } from "#base/rng.ts";
import { buildClientMap } from "#geo/build.ts";
import { type AsnDatabase, openAsnDatabase, openPlaceDatabase, type PlaceDatabase } from "#geo/database.ts";
import type { Classify, Location } from "#geo/location.ts";
import { type MmdbNetwork, type MmdbOptions, writeMmdb } from "#geo/mmdb-writer.ts";
import type { GeoOverride, MapSpec } from "#state/snapshot.ts";

export const MMDB_OPTIONS: MmdbOptions = {
  databaseType: "Test-City",
  description: "test",
  builtAtMs: 1_700_000_000_000,
};

export const cidr = (text: string): Cidr => parseCidr(text)!;
export const place = (country: string, continent = "EU", latitude = 1, longitude = 2) => ({
  continent: { code: continent },
  country: { iso_code: country },
  location: { latitude, longitude },
});
export const network = (text: string, record: MmdbNetwork["record"]): MmdbNetwork => ({ cidr: cidr(text), record });

export const placesOf = (networks: readonly MmdbNetwork[], options = MMDB_OPTIONS): PlaceDatabase =>
  openPlaceDatabase("test.mmdb", writeMmdb(networks, options));
export const asnsOf = (networks: Readonly<Record<string, number>>): AsnDatabase =>
  openAsnDatabase(
    "asn.mmdb",
    writeMmdb(
      Object.entries(networks).map(([text, asn]) => network(text, { autonomous_system_number: asn })),
      { ...MMDB_OPTIONS, databaseType: "Test-ASN" },
    ),
  );

export const override = (what: Partial<GeoOverride>): GeoOverride => ({
  network: undefined,
  asn: undefined,
  country: undefined,
  as: undefined,
  regions: [],
  ...what,
});
export const fence = (what: Partial<MapSpec["fences"][number]>): MapSpec["fences"][number] => ({
  continents: [],
  countries: [],
  asns: [],
  networks: [],
  ...what,
});
export const spec = (fences: MapSpec["fences"] = []): MapSpec => ({
  mapId: "m",
  regionIds: ["a", "b"],
  usesGeo: true,
  nearest: [],
  usesLatency: false,
  fences,
  vantage: undefined,
});

/** Every different location is a class of its own; its label is the location as text. */
const describe = (location: Location): string =>
  [
    location.isKnown ? "known" : "unknown",
    location.continent,
    location.country,
    location.latitude,
    location.longitude,
    location.asn,
    location.preferred.join("+"),
    location.preferredBy ?? "",
    location.insideFenceNetworks.map(Number).join(""),
  ].join("/");
export const classifyAll: Classify = (location) => ({
  key: describe(location),
  facts: {
    isKnown: location.isKnown,
    label: describe(location),
    match: [],
    distanceKm: [],
    insideFence: [],
    isNearVantage: false,
    preferred: [],
  },
});

export const build = (
  places: PlaceDatabase | undefined,
  extra: {
    asns?: AsnDatabase;
    overrides?: readonly GeoOverride[];
    fences?: MapSpec["fences"];
    classify?: Classify;
  } = {},
) =>
  buildClientMap({
    spec: spec(extra.fences),
    places,
    asns: extra.asns,
    overrides: extra.overrides ?? [],
    classify: extra.classify ?? classifyAll,
    generation: 1,
  });

/** The narrowest network that holds the address; of equal ones the last. */
export function narrowest<T extends { readonly cidr: Cidr }>(
  networks: readonly T[],
  address: Uint8Array,
): T | undefined {
  let best: T | undefined;
  for (const candidate of networks) {
    if (cidrContains(candidate.cidr, address) && (!best || candidate.cidr.bits >= best.cidr.bits)) best = candidate;
  }
  return best;
}

export function randomBytes(rng: Rng, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => Math.floor(rng() * 256));
}
/** Crowded into a few octets, so that networks nest and touch. */
export function randomCidr(rng: Rng, isIpv6: boolean, maxBits: number): Cidr {
  const bytes = new Uint8Array(isIpv6 ? 16 : 4);
  const head = isIpv6 ? [0x2a, 0x02] : [10];
  bytes.set(head);
  for (let at = head.length; at < bytes.length; at++) bytes[at] = [0, 0, 1, 0x80, 0xff][Math.floor(rng() * 5)]!;
  const bits = head.length * 8 + Math.floor(rng() * (maxBits - head.length * 8 + 1));
  return { bytes: maskIp(bytes, bits), bits };
}
