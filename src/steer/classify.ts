/**
 * Folds locations into classes: two clients share a class when no filter of a map's services can tell them apart.
 *
 * Reader:  `geo/build.ts`, which calls a classifier once for each network of the database. Few classes make few leaves,
 *          large ECS scopes and few compiled answers, so a key holds what filters compare and no more: the order of
 *          distances instead of the distances, the fences instead of the countries.
 * Units:   km.
 * @module
 */
import { greatCircleKm } from "#geo/distance.ts";
import type { Classify, Location } from "#geo/location.ts";
import { type ClassFacts, GEO_MATCH } from "#state/class-facts.ts";
import type { MapSpec, RegionSpec } from "#state/snapshot.ts";
import { biasedKm, quantiseKm } from "#steer/distance.ts";

/** A probe's absolute RTT says something of clients at most this far from the vantage (ruling 6). */
const NEAR_VANTAGE_KM = 1_000;

/** Facts of a client of whom nothing is known: class 0 of every map, and of services without one. */
export const unknownFacts = (regionCount: number, fenceCount: number): ClassFacts => ({
  isKnown: false,
  label: "unknown",
  match: new Array<number>(regionCount).fill(GEO_MATCH.none),
  distanceKm: new Array<number>(regionCount).fill(-1),
  insideFence: new Array<boolean>(fenceCount).fill(false),
  isNearVantage: false,
  preferred: [],
});

/**
 * @param regions all regions of the snapshot; those that `spec.regionIds` names are looked at
 * @returns a pure function; facts are in the order of `spec.regionIds`
 */
export function createClassifier(spec: MapSpec, regions: readonly RegionSpec[]): Classify {
  const own = spec.regionIds.map((id) => regions.find((region) => region.id === id));
  const usesDistance = spec.nearest.length > 0 || spec.usesLatency;
  const usesPreferred = spec.usesGeo || spec.nearest.length > 0;

  return (location) => {
    const insideFence = spec.fences.map((fence, index) => isInside(fence, location, index));
    if (!location.isKnown) {
      const facts = { ...unknownFacts(own.length, 0), insideFence };
      return { key: `unknown ${fenceKey(insideFence)}`, facts };
    }
    const preferred = usesPreferred
      ? location.preferred.map((id) => spec.regionIds.indexOf(id)).filter((index) => index >= 0)
      : [];
    const match = own.map((region, index) =>
      spec.usesGeo && region ? matchOf(region, location, preferred.includes(index)) : GEO_MATCH.none,
    );
    const distanceKm = own.map((region) => (usesDistance && region ? kmBetween(region, location) : -1));
    const isNearVantage = spec.usesLatency && isNear(spec.vantage, location);
    const key = [
      match.join(""),
      preferred.join(","),
      fenceKey(insideFence),
      ...spec.nearest.map((nearest) => nearestKey(distanceKm, spec.regionIds, nearest)),
      spec.usesLatency ? `${distanceKm.map(latencyKey).join(",")}${isNearVantage ? "!" : ""}` : "",
    ].join("|");
    return {
      key,
      facts: { isKnown: true, label: labelOf(location), match, distanceKm, insideFence, isNearVantage, preferred },
    };
  };
}

const fenceKey = (inside: readonly boolean[]): string => inside.map(Number).join("");
const latencyKey = (distanceKm: number): number => (distanceKm < 0 ? -1 : quantiseKm(distanceKm));

function isInside(fence: MapSpec["fences"][number], location: Location, index: number): boolean {
  if (location.insideFenceNetworks[index] === true) return true;
  if (!location.isKnown) return false;
  return (
    fence.continents.includes(location.continent) ||
    fence.countries.includes(location.country) ||
    (location.asn !== 0 && fence.asns.includes(location.asn))
  );
}

function matchOf(region: RegionSpec, location: Location, isPreferred: boolean): number {
  if (isPreferred) return GEO_MATCH[location.preferredBy ?? "none"];
  if (region.country !== "" && region.country === location.country) return GEO_MATCH.country;
  if (region.continent !== "" && region.continent === location.continent) return GEO_MATCH.continent;
  return GEO_MATCH.none;
}

/** Whole km: what the database says is no better, and equal places then compare as equal. */
function kmBetween(region: RegionSpec, location: Location): number {
  const km = greatCircleKm(region.latitude, region.longitude, location.latitude, location.longitude);
  return Number.isNaN(km) ? -1 : Math.round(km);
}

function isNear(vantage: MapSpec["vantage"], location: Location): boolean {
  if (!vantage) return false;
  return greatCircleKm(vantage[0], vantage[1], location.latitude, location.longitude) <= NEAR_VANTAGE_KM;
}

/**
 * All that `nearest` can see of the distances, whichever regions are left when it runs: the order, and for each region
 * how many of those that follow lie within the slack.
 */
function nearestKey(distanceKm: readonly number[], ids: readonly string[], spec: MapSpec["nearest"][number]): string {
  if (distanceKm.some((km) => km < 0)) return "?";
  const biased = distanceKm.map((km, index) => biasedKm(km, spec.bias[ids[index]!] ?? 0));
  const order = biased.map((_, index) => index).sort((a, b) => biased[a]! - biased[b]! || a - b);
  return order
    .map((index, position) => {
      const limit = biased[index]! + spec.slackKm;
      let within = 0;
      while (position + within + 1 < order.length && biased[order[position + within + 1]!]! <= limit) within++;
      return `${index}:${within}`;
    })
    .join(",");
}

/** The first member of a class stands for it, hence "like". */
function labelOf(location: Location): string {
  const place = [location.continent, location.country].filter((part) => part !== "").join("/");
  const asn = location.asn !== 0 && place === "" ? `AS${location.asn}` : "";
  return `like ${place || asn || "a place without a name"}`;
}
