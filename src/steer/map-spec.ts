/**
 * Which facts about clients a service needs: the specification of its client map.
 *
 * Reader:  `config/compile.ts`, which collects the specifications of all services; `geo/build.ts` makes a map of each.
 * @module
 */
import type { MapSpec, RegionSpec, ServiceSpec } from "#state/snapshot.ts";

type Latitude = number;
type Longitude = number;

/**
 * @param service its `mapId` is not looked at: this function makes it
 * @param regions `Snapshot.regions`
 * @param vantage where our own probes run, in degrees
 * @returns undefined when no filter of the chain looks at geography. Regions stand sorted by id, so that services that
 *   tell clients apart in the same way get the same text in `mapId`, and share one map.
 */
export function mapSpecFor(
  service: Pick<ServiceSpec, "regions" | "chain">,
  regions: readonly Pick<RegionSpec, "id">[],
  vantage: readonly [Latitude, Longitude] | undefined,
): MapSpec | undefined {
  const nearest: MapSpec["nearest"][number][] = [];
  const fences: MapSpec["fences"][number][] = [];
  let usesGeo = false;
  let usesLatency = false;
  for (const filter of service.chain) {
    if (filter.name === "geo") usesGeo = true;
    if (filter.name === "latency") usesLatency = true;
    if (filter.name === "nearest") nearest.push({ bias: sorted(filter.bias), slackKm: filter.slackKm });
    if (filter.name === "geofence") {
      const { continents, countries, asns, networks } = filter;
      fences[filter.fence] = { continents, countries, asns, networks };
    }
  }
  if (!usesGeo && !usesLatency && nearest.length === 0 && fences.length === 0) return undefined;
  const spec = {
    regionIds: mapRegionIds(service, regions),
    usesGeo,
    nearest,
    usesLatency,
    fences,
    vantage: usesLatency ? vantage : undefined,
  };
  return { mapId: JSON.stringify(spec), ...spec };
}

/** The regions of a service's map, in the order of the map's facts. */
export const mapRegionIds = (
  service: Pick<ServiceSpec, "regions">,
  regions: readonly Pick<RegionSpec, "id">[],
): readonly string[] => service.regions.map((entry) => regions[entry.region]!.id).sort();

const sorted = (bias: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(bias).sort(([a], [b]) => (a < b ? -1 : 1)));
