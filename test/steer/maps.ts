/** Client maps for tests, from a few networks and the real classifier, trie and walk. */
import { parseCidr } from "#base/ip.ts";
import type { Location } from "#geo/location.ts";
import { createTriePairs, insertNetwork, layOutTrie } from "#geo/trie.ts";
import type { ClassFacts } from "#state/class-facts.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import { createClassifier } from "#steer/classify.ts";
import { mapSpecFor } from "#steer/map-spec.ts";

export const UNKNOWN: Location = {
  isKnown: false,
  continent: "",
  country: "",
  latitude: Number.NaN,
  longitude: Number.NaN,
  asn: 0,
  preferred: [],
  preferredBy: undefined,
  override: undefined,
  insideFenceNetworks: [],
};
export const located = (more: Partial<Location>): Location => ({ ...UNKNOWN, isKnown: true, ...more });

/** Networks of the demo world and where they lie. */
export const PLACES: Readonly<Record<string, Partial<Location>>> = {
  "192.0.2.0/24": { continent: "NA", country: "US", latitude: 37.75, longitude: -97.82 },
  "198.51.100.0/24": { continent: "EU", country: "DE", latitude: 51.3, longitude: 9.49 },
  "203.0.113.0/24": { continent: "AS", country: "JP", latitude: 35.69, longitude: 139.69 },
  "198.18.0.0/16": { continent: "EU", country: "FR", latitude: 48.86, longitude: 2.35 },
  "198.19.0.0/17": { continent: "SA", country: "BR", latitude: -23.55, longitude: -46.64 },
  "2001:db8:1::/48": { continent: "EU", country: "DE", latitude: 51.3, longitude: 9.49 },
};

/** Later networks go over earlier ones; `vantage` as in `mapSpecFor`. */
export function mapFor(
  service: ServiceSpec,
  regions: readonly RegionSpec[],
  places: Readonly<Record<string, Partial<Location>>> = PLACES,
  vantage?: readonly [number, number],
): ClientMap {
  const spec = mapSpecFor(service, regions, vantage)!;
  const classify = createClassifier(spec, regions);
  const classes: ClassFacts[] = [];
  const numbers = new Map<string, number>();
  const intern = (location: Location): number => {
    const { key, facts } = classify(location);
    if (!numbers.has(key)) numbers.set(key, classes.push(facts) - 1);
    return numbers.get(key)!;
  };
  intern(UNKNOWN);
  const trie = createTriePairs();
  const roots = { v4: ~0, v6: ~0 };
  for (const [network, location] of Object.entries(places)) {
    const { bytes, bits } = parseCidr(network)!;
    const family = bytes.length === 4 ? "v4" : "v6";
    roots[family] = insertNetwork(trie, roots[family], bytes, bits, () => ~intern(located(location)));
  }
  return {
    mapId: spec.mapId,
    generation: 1,
    nodes: layOutTrie(trie, roots.v4, roots.v6),
    classes,
    info: { leaves: 0, mergedRatio: 1, octets: 0, database: "test", databaseBuiltAtMs: 0 },
  };
}

/** Measured RTTs in ms by network and region. */
export function rttMapFor(
  regions: readonly RegionSpec[],
  networks: Readonly<Record<string, Readonly<Record<string, number>>>>,
): RttMap {
  const regionIds = regions.map(({ id }) => id);
  const trie = createTriePairs();
  const roots = { v4: ~0, v6: ~0 };
  const rows: number[] = regionIds.map(() => 0);
  for (const [row, [network, rtts]] of Object.entries(networks).entries()) {
    const { bytes, bits } = parseCidr(network)!;
    const family = bytes.length === 4 ? "v4" : "v6";
    roots[family] = insertNetwork(trie, roots[family], bytes, bits, () => ~(row + 1));
    rows.push(...regionIds.map((id) => (rtts[id] ?? 0) * 1_000));
  }
  return { generation: 1, nodes: layOutTrie(trie, roots.v4, roots.v6), regionIds, rttMicros: Uint32Array.from(rows) };
}
