/**
 * Record sets of one name that have a routing policy → a service and its regions.
 * @module
 */
import { parseIp } from "#base/ip.ts";
import { AWS_REGIONS, MIDDLE_OF } from "#config/import/aws-regions.ts";
import type { Draft } from "#config/import/draft.ts";
import { mapOf, numberOf, textOf } from "#config/import/json-lines.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import type { Regions } from "#config/import/regions.ts";
import type { HealthChecks } from "#config/import/route53-health.ts";
import type { RecordSet } from "#config/import/route53-read.ts";
import { lookUp } from "#config/import/words.ts";
import { continentOfCountry } from "#geo/countries.ts";

/** What belongs to one `SetIdentifier`. */
type Member = {
  readonly id: string;
  readonly set: RecordSet;
  v4: readonly string[];
  v6: readonly string[];
  region: string;
};
type Policy = "weighted" | "latency" | "geolocation" | "geoproximity" | "failover" | "multivalue";

export function policyOf({ fields }: RecordSet): Policy | undefined {
  if (fields["Weight"] !== undefined) return "weighted";
  if (fields["Region"] !== undefined) return "latency";
  if (fields["GeoLocation"] !== undefined) return "geolocation";
  if (fields["GeoProximityLocation"] !== undefined) return "geoproximity";
  if (fields["Failover"] !== undefined) return "failover";
  return fields["MultiValueAnswer"] === true ? "multivalue" : undefined;
}

type Place = { readonly at: readonly [number, number]; readonly continent?: string; readonly country?: string };
/** Where nothing is said of places, they do not matter: the middle of the map. */
const NOWHERE: Place = { at: [0, 0] };

function placeOf({ fields, at }: RecordSet, policy: Policy, notes: Notes): Place {
  if (policy === "latency" || policy === "geoproximity") {
    const proximity = mapOf(fields["GeoProximityLocation"]);
    const name = textOf(policy === "latency" ? fields["Region"] : proximity?.["AWSRegion"]);
    const found = name === undefined ? undefined : lookUp(AWS_REGIONS, name);
    if (found) return { ...found, continent: continentOfCountry(found.country)! };
    const coordinates = mapOf(proximity?.["Coordinates"]);
    const [latitude, longitude] = [numberOf(coordinates?.["Latitude"]), numberOf(coordinates?.["Longitude"])];
    if (latitude !== undefined && longitude !== undefined && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)
      return { at: [latitude, longitude] };
    const what = name ?? textOf(proximity?.["LocalZoneGroup"]) ?? "";
    notes.changed(at, `The place of ${quoted(what)} is not known; [0, 0] is written`, "Correct `at:` of the region");
    return NOWHERE;
  }
  if (policy !== "geolocation") return NOWHERE;
  const location = mapOf(fields["GeoLocation"]);
  const country = textOf(location?.["CountryCode"]);
  const continent = textOf(location?.["ContinentCode"]);
  if (location?.["SubdivisionCode"] !== undefined)
    notes.changed(
      at,
      `Clients are told apart by country, not by subdivision ${quoted(textOf(location["SubdivisionCode"]) ?? "")}`,
      "Name networks in geo-data/overrides.yaml",
    );
  const known = country === undefined ? undefined : continentOfCountry(country);
  if (country !== undefined && known !== undefined)
    // Without a continent the region is for this country alone.
    return { at: MIDDLE_OF[known]!, country };
  const middle = continent === undefined ? undefined : lookUp(MIDDLE_OF, continent);
  if (continent !== undefined && middle) return { at: middle, continent };
  if (country !== "*")
    notes.changed(
      at,
      "The place is no country and no continent: the record is for clients of nowhere else",
      "Correct `continent:` and `country:` of the region",
    );
  return NOWHERE;
}

/** Which types a name has may not depend on the client: all regions have a family, or none. */
function evenFamilies(members: readonly Member[], notes: Notes): Member[] {
  const count = {
    v4: members.filter(({ v4 }) => v4.length > 0).length,
    v6: members.filter(({ v6 }) => v6.length > 0).length,
  };
  const kept = members.filter((member) => member.v4.length + member.v6.length > 0);
  if ([0, kept.length].includes(count.v4) && [0, kept.length].includes(count.v6)) return kept;
  const [keep, drop] = count.v4 >= count.v6 ? (["v4", "v6"] as const) : (["v6", "v4"] as const);
  return kept.flatMap((member) => {
    if (member[drop].length > 0 || member[keep].length === 0)
      notes.leftOut(
        member.set.at,
        `Not all of this name have IP${drop} addresses: it is steered by IP${keep} alone`,
        `Give all regions IP${drop} addresses`,
      );
    return member[keep].length > 0 ? [{ ...member, [drop]: [] }] : [];
  });
}

export type SteerScope = {
  readonly draft: Draft;
  readonly regions: Regions;
  readonly checks: HealthChecks;
  /** Addresses of an alias, or undefined where they are not known. */
  readonly resolve: (set: RecordSet) => readonly string[] | undefined;
  readonly notes: Notes;
};

/**
 * @param sets A and AAAA record sets of one name, with their policies
 * @param name of the service
 * @returns the TTL of the STEER record; undefined where nothing could be made of them
 */
export function makeService(
  name: string,
  sets: readonly RecordSet[],
  { draft, regions, checks, resolve, notes }: SteerScope,
): number | undefined {
  const policy = sets.map(policyOf).find((one) => one !== undefined);
  if (!policy) {
    for (const { at } of sets)
      notes.leftOut(
        at,
        "It has a SetIdentifier and no routing policy that is known here",
        "Use a service with `geofence` for CIDR routing",
      );
    return undefined;
  }
  const members = new Map<string, Member>();
  for (const set of sets) {
    if (policyOf(set) !== policy) {
      notes.leftOut(set.at, `The name is steered by another policy, ${policy}`, "Use one policy for A and AAAA");
      continue;
    }
    const addresses = set.alias === undefined ? set.values : resolve(set);
    if (!addresses) continue;
    const good = addresses.filter((address) => parseIp(address)?.length === (set.type === "A" ? 4 : 16));
    const member = members.get(set.id!) ?? { id: set.id!, set, v4: [], v6: [], region: "" };
    if (set.type === "A") member.v4 = [...new Set(good)].slice(0, 64);
    else member.v6 = [...new Set(good)].slice(0, 64);
    members.set(set.id!, member);
  }
  const kept = evenFamilies([...members.values()], notes).slice(0, 64);
  if (kept.length === 0) {
    notes.leftOut(
      sets[0]!.at,
      "None of its records has an address that is known here",
      "Write the regions and the service by hand",
    );
    return undefined;
  }
  for (const member of kept) {
    const { set, v4, v6 } = member;
    const place = placeOf(set, policy, notes);
    const check = set.healthCheck === undefined ? undefined : checks.find(set.healthCheck, set.at);
    const aws = policy === "latency" ? textOf(set.fields["Region"]) : undefined;
    member.region = regions.add(aws ?? `${name}-${member.id}`, { ...place, v4, v6, check }, set.at);
  }
  if (policy === "geolocation")
    notes.changed(
      kept[0]!.set.at,
      "Where a region is was guessed by its country or continent; only `nearest` and `latency` would look at it",
      "Write the real `at:`",
    );
  draft.dns.services.set(name, { value: serviceOf(policy, kept, notes), at: sets[0]!.at });
  return Math.max(1, Math.min(86_400, ...sets.map(({ ttl }) => ttl ?? 60)));
}

function serviceOf(policy: Policy, members: readonly Member[], notes: Notes): Record<string, unknown> {
  const names = (list: readonly Member[]): string[] => [...new Set(list.map(({ region }) => region))];
  const first = members[0]!.set;
  switch (policy) {
    case "weighted": {
      const weights = members.map(({ set }) =>
        Math.min(Math.max(Math.trunc(numberOf(set.fields["Weight"]) ?? 0), 0), 65_535),
      );
      // All 0 is all the same, there.
      const isFlat = weights.every((weight) => weight === 0);
      return {
        regions: Object.fromEntries(
          members.map(({ region }, index) => [region, { weight: isFlat ? 1 : weights[index]! }]),
        ),
        steer: "weighted",
      };
    }
    case "latency":
      notes.changed(
        first.at,
        "Latency is measured by rhumb's own nodes, and estimated from the distance until then",
        "Give `rhumb geo` measurements, or name vantages",
      );
      return { regions: names(members), steer: "latency" };
    case "geolocation": {
      const isDefault = ({ set }: Member): boolean => textOf(mapOf(set.fields["GeoLocation"])?.["CountryCode"]) === "*";
      if (!members.some(isDefault))
        notes.changed(
          first.at,
          "Clients of other places get the first region; Route 53 answers nothing without a default record",
          "Put the region for all others first",
        );
      return {
        regions: names([...members.filter(isDefault), ...members.filter((one) => !isDefault(one))]),
        steer: ["healthy", "geo", { first: 1 }],
      };
    }
    case "geoproximity": {
      const bias = Object.fromEntries(
        members.flatMap(({ set, region }) => {
          const value = numberOf(mapOf(set.fields["GeoProximityLocation"])?.["Bias"]) ?? 0;
          return value === 0 ? [] : [[region, Math.min(Math.max(value, -99), 99)] as const];
        }),
      );
      if (Object.keys(bias).length > 0)
        notes.changed(first.at, "The bias is in percent of the distance", "Try it with `rhumb explain`");
      return {
        regions: names(members),
        steer: ["healthy", Object.keys(bias).length > 0 ? { nearest: { bias } } : "nearest", { first: 1 }],
      };
    }
    case "failover": {
      const isPrimary = ({ set }: Member): boolean => textOf(set.fields["Failover"]) === "PRIMARY";
      return {
        regions: names([...members.filter(isPrimary), ...members.filter((one) => !isPrimary(one))]),
        steer: "failover",
      };
    }
    case "multivalue":
      return { regions: names(members), steer: "multivalue" };
    default:
      return policy satisfies never;
  }
}
