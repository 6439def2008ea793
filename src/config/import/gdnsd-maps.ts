/**
 * Maps of gdnsd's plugin geoip → where regions are, how services are steered, and overrides (gdnsd-plugin-geoip(8)).
 * @module
 */

import { MIDDLE_OF } from "#config/import/aws-regions.ts";
import type { Draft } from "#config/import/draft.ts";
import { childOf, entriesOf, textsOf, type Vscf } from "#config/import/gdnsd-read.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { lookUp, parseNetwork } from "#config/import/words.ts";
import { continentOfCountry } from "#geo/countries.ts";

export type GeoMaps = {
  /** Datacenters in the order for clients of nowhere. */
  orderOf(map: string | undefined): readonly string[];
  steerOf(map: string | undefined): unknown;
  placeOf(
    map: string | undefined,
    datacenter: string,
    at: At,
  ): { readonly at: readonly [number, number]; readonly continent?: string };
  /** A resource uses the map with these regions, by datacenter. */
  use(map: string, regions: ReadonlyMap<string, string>): void;
  /** Writes what is said of countries and networks, once all resources are known. */
  finish(draft: Draft): void;
};

type Preference = {
  readonly whom: Readonly<Record<string, string>>;
  readonly datacenters: readonly string[];
  readonly at: At;
};
/** The South Pole. */
const FAR = [-90, 0] as const;
const NOWHERE = [0, 0] as const;

type GeoMap = {
  readonly at: At;
  readonly order: readonly string[];
  readonly coordinates: ReadonlyMap<string, readonly [number, number]>;
  /** Datacenter that is the first for a continent. */
  readonly continents: ReadonlyMap<string, string>;
  readonly preferences: readonly Preference[];
  readonly hasPlaces: boolean;
};

const READ = [
  "datacenters",
  "map",
  "nets",
  "auto_dc_coords",
  "geoip2_db",
  "geoip_db",
  "geoip_db_v4_overlay",
  "city_auto_map",
  "city_region_names",
];

function readMap(node: Vscf, notes: Notes): GeoMap {
  const continents = new Map<string, string>();
  const preferences: Preference[] = [];
  let standard: readonly string[] = [];
  for (const [key, { at }] of entriesOf(node)) {
    if (key.startsWith("geoip"))
      notes.changed(
        at,
        "A geo database is named once, for all services",
        "Write `geo: { database: … }` into rhumb.yaml",
      );
    else if (!READ.includes(key)) notes.leftOut(at, "There is nothing like it for maps", "See docs/settings.md");
  }
  const isContinent = (code: string): boolean => Object.hasOwn(MIDDLE_OF, code);
  const ofContinent = (code: string, list: Vscf): void => {
    const [first] = textsOf(list);
    if (first !== undefined && continents.has(first)) {
      const says = `Clients of ${quoted(code)} get the nearest region: ${quoted(first)} lies in ${continents.get(first)} already`;
      notes.changed(list.at, says, "Write `geo-data/overrides.yaml` for its countries");
      return;
    }
    if (first !== undefined) continents.set(first, code);
    notes.changed(
      list.at,
      `Clients of ${quoted(code)} get its first datacenter, and else the nearest, not the order of this list`,
      "Write `geo-data/overrides.yaml` for countries whose order matters",
    );
  };
  for (const [place, value] of entriesOf(childOf(node, "map"))) {
    if (place === "default") standard = textsOf(value);
    else if (!isContinent(place))
      notes.leftOut(value.at, `${quoted(place)} is no continent`, "Write AF, AN, AS, EU, NA, OC or SA");
    else if (value.kind !== "map") ofContinent(place, value);
    else {
      for (const [country, list] of value.entries) {
        if (country === "default") ofContinent(place, list);
        else if (continentOfCountry(country) === undefined)
          notes.leftOut(list.at, `${quoted(country)} is no country`, "Write the code of ISO 3166-1, such as DE");
        else {
          const wanted = list.kind === "map" ? childOf(list, "default") : list;
          if (list.kind === "map")
            notes.leftOut(
              list.at,
              "Clients are told apart by country, not by what is below it",
              "Name networks in geo-data/overrides.yaml",
            );
          if (wanted) preferences.push({ whom: { country }, datacenters: textsOf(wanted), at: list.at });
        }
      }
    }
  }
  const nets = childOf(node, "nets");
  if (nets && nets.kind !== "map")
    notes.leftOut(nets.at, "A file of networks is not read", "Write them into geo-data/overrides.yaml");
  for (const [text, list] of entriesOf(nets)) {
    const network = parseNetwork(text);
    if (network === undefined) notes.leftOut(list.at, `${quoted(text)} is no network`, "Write such as 192.0.2.0/24");
    else preferences.push({ whom: { network }, datacenters: textsOf(list), at: list.at });
  }
  const coordinates = new Map<string, readonly [number, number]>();
  for (const [datacenter, list] of entriesOf(childOf(node, "auto_dc_coords"))) {
    const [latitude = Number.NaN, longitude = Number.NaN] = textsOf(list).map(Number);
    if (Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180) coordinates.set(datacenter, [latitude, longitude]);
    else notes.leftOut(list.at, "It is no latitude and longitude", "Write such as [ 53.35, -6.26 ]");
  }
  const all = textsOf(childOf(node, "datacenters"));
  return {
    at: node.at,
    order: [...new Set([...standard, ...all])],
    coordinates,
    continents,
    preferences,
    hasPlaces: continents.size + preferences.length > 0,
  };
}

export function readGeoMaps(root: Vscf, notes: Notes): GeoMaps {
  const maps = new Map<string, GeoMap>();
  for (const [name, node] of entriesOf(childOf(childOf(childOf(root, "plugins"), "geoip"), "maps")))
    maps.set(name, readMap(node, notes));
  const uses = new Map<string, Map<string, string[]>>();
  const find = (map: string | undefined): GeoMap | undefined => (map === undefined ? undefined : maps.get(map));
  return {
    orderOf: (map) => find(map)?.order ?? [],
    steerOf(map) {
      const found = find(map);
      if (!found?.hasPlaces) return ["healthy", "nearest", { first: 1 }];
      return found.coordinates.size > 0 ? "geo" : ["healthy", "geo", { first: 1 }];
    },
    placeOf(map, datacenter, at) {
      const found = find(map);
      const continent = found?.continents.get(datacenter);
      const coordinates =
        found?.coordinates.get(datacenter) ?? (continent === undefined ? undefined : lookUp(MIDDLE_OF, continent));
      // Among regions with places it must be nobody's nearest: gdnsd takes it last of all.
      const standIn = coordinates ?? ((found?.coordinates.size ?? 0) > 0 ? FAR : NOWHERE);
      if (map !== undefined && found?.coordinates.get(datacenter) === undefined)
        notes.changed(
          at,
          `Where ${quoted(datacenter)} is, is not said; ${JSON.stringify(standIn)} is written`,
          "Correct `at:` of the region",
        );
      return { at: standIn, ...(continent === undefined ? {} : { continent }) };
    },
    use(map, regions) {
      const used = uses.get(map) ?? new Map<string, string[]>();
      for (const [datacenter, region] of regions) used.set(datacenter, [...(used.get(datacenter) ?? []), region]);
      uses.set(map, used);
    },
    finish(draft) {
      /** One entry for each country and network: regions of other services than the asked one do not matter. */
      const overrides = new Map<string, { whom: Preference["whom"]; regions: string[]; at: At }>();
      for (const [name, { preferences }] of maps) {
        for (const { whom, datacenters, at } of preferences) {
          const regions = datacenters.flatMap((datacenter) => uses.get(name)?.get(datacenter) ?? []);
          const key = JSON.stringify(whom);
          const entry = overrides.get(key) ?? { whom, regions: [], at };
          entry.regions = [...new Set([...entry.regions, ...regions])].slice(0, 64);
          overrides.set(key, entry);
        }
      }
      for (const { whom, regions, at } of overrides.values())
        if (regions.length > 0) draft.dns.overrides.push({ value: { ...whom, regions }, at });
    },
  };
}
