/**
 * A service as steering works on it: its regions as candidates, with what the configuration says of each.
 *
 * Owns:    the types, and the one-time binding of a service to the snapshot's regions and its map.
 * Never:   health or clients: those are in `RegionState` and `ClassFacts`.
 * @module
 */
import { parseIp } from "#base/ip.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";

export type Candidate = {
  /** Position in the service's list, which is the default order. */
  readonly index: number;
  readonly region: RegionSpec;
  /** Its number in `Snapshot.regions`. */
  readonly regionNumber: number;
  readonly weight: number;
  readonly priority: number;
  /** Position in the facts of the service's map; -1 without a map. */
  readonly factsIndex: number;
  /** Addresses as octets, in the order of the region's `v4` and `v6`. */
  readonly v4: readonly Uint8Array[];
  readonly v6: readonly Uint8Array[];
};
export type Candidates = readonly Candidate[];

export type BoundService = {
  readonly spec: ServiceSpec;
  readonly candidates: Candidates;
  /** Which words of the health table its chain looks at beyond verdicts. */
  readonly usesLatency: boolean;
  readonly usesLoad: boolean;
  /** No filter can tell clients apart: one region and no fence. */
  readonly isConstant: boolean;
};

/**
 * @param regions `Snapshot.regions`
 * @param mapRegionIds regions of the service's map, in the order of its facts; empty without a map
 */
export function bindService(
  spec: ServiceSpec,
  regions: readonly RegionSpec[],
  mapRegionIds: readonly string[],
): BoundService {
  const has = (name: string): boolean => spec.chain.some((filter) => filter.name === name);
  return {
    spec,
    candidates: spec.regions.map((entry, index) => {
      const region = regions[entry.region]!;
      return {
        index,
        region,
        regionNumber: entry.region,
        weight: entry.weight,
        priority: entry.priority,
        factsIndex: mapRegionIds.indexOf(region.id),
        v4: region.v4.map((address) => parseIp(address)!),
        v6: region.v6.map((address) => parseIp(address)!),
      };
    }),
    usesLatency: has("latency"),
    usesLoad: has("shed"),
    isConstant: spec.regions.length === 1 && !has("geofence"),
  };
}
