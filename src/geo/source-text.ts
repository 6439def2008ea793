/**
 * The text source of a geo database: for the demo world, for tests, and for operators with networks of their own.
 *
 * Format:  one network a line, columns separated by a tab or at least two spaces; `#` starts a comment line.
 *          City source:  network  continent  country  latitude  longitude  city     (`-` where not known)
 *          ASN source:   network  AS number  organisation
 *          Directives:   `@kind city|asn`, `@type NAME`, `@description TEXT`, `@built 2026-01-01T00:00:00Z`
 *          `@built` becomes the build time, so that the same text always makes the same octets.
 * @module
 */
import { parseCidr } from "#base/ip.ts";
import type { Problem } from "#base/problem.ts";
import { CONTINENTS, continentOfCountry } from "#geo/countries.ts";
import type { MmdbNetwork, MmdbOptions, MmdbValue } from "#geo/mmdb-writer.ts";

export type GeoSource = {
  readonly kind: "city" | "asn";
  readonly networks: readonly MmdbNetwork[];
  readonly options: MmdbOptions;
};

const FIX = "The header of geo-data/demo.txt explains the format";

/** @param file for the positions in problems. @returns the source, and all that is wrong with the text */
export function parseGeoSource(
  text: string,
  file: string,
): { readonly source: GeoSource; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const networks: MmdbNetwork[] = [];
  const firstLineOf = new Map<string, number>();
  const directives = new Map<string, string>();
  for (const [index, lineText] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const problem = (says: string, column = 1, fix = FIX): void => {
      problems.push({ file, line, column, path: "", severity: "error", says, fix });
    };
    const trimmed = lineText.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    if (trimmed.startsWith("@")) {
      const [name = "", ...words] = trimmed.slice(1).split(/\s+/);
      const value = words.join(" ");
      if (!["kind", "type", "description", "built"].includes(name)) problem(`@${name} is no directive`);
      else if (value === "") problem(`@${name} needs a value`);
      else if (name === "kind" && value !== "city" && value !== "asn") problem(`@kind is city or asn, not ${value}`);
      else if (name === "kind" && networks.length > 0) problem("@kind stands before the first network");
      else if (name === "built" && Number.isNaN(Date.parse(value))) problem(`${value} is no time`);
      else directives.set(name, value);
      continue;
    }
    const columns = trimmed.split(/\t+| {2,}/);
    const cidr = parseCidr(columns[0]!);
    if (!cidr) {
      problem(`${columns[0]} is not a network, or has bits set beyond its prefix`);
      continue;
    }
    const before = firstLineOf.get(columns[0]!);
    if (before !== undefined) problem(`${columns[0]} stands in line ${before} already`, 1, "Remove one of the two");
    firstLineOf.set(columns[0]!, line);
    const record = directives.get("kind") === "asn" ? asnRecord(columns, problem) : cityRecord(columns, problem);
    if (record !== undefined) networks.push({ cidr, record });
  }
  if (networks.length === 0 && problems.length === 0)
    problems.push({
      file,
      line: 1,
      column: 1,
      path: "",
      severity: "error",
      says: "There is no network in it",
      fix: FIX,
    });
  const isAsn = directives.get("kind") === "asn";
  return {
    source: {
      kind: isAsn ? "asn" : "city",
      networks,
      options: {
        databaseType: directives.get("type") ?? (isAsn ? "Rhumb-ASN" : "Rhumb-City"),
        description: directives.get("description") ?? "Built by rhumb geo build",
        builtAtMs: Date.parse(directives.get("built") ?? "2026-01-01T00:00:00Z"),
      },
    },
    problems,
  };
}

type Says = (says: string) => void;

function cityRecord(columns: readonly string[], problem: Says): MmdbValue | undefined {
  const [, continent = "-", country = "-", latitude = "-", longitude = "-", city = "-", ...rest] = columns;
  if (columns.length < 3 || rest.length > 0)
    return void problem(`${columns.length} columns; expected network, continent, country, latitude, longitude, city`);
  if (continent !== "-" && !CONTINENTS.includes(continent))
    return void problem(`${continent} is no continent: use ${CONTINENTS.join(", ")} or -`);
  const home = continentOfCountry(country);
  if (country !== "-" && home === undefined) return void problem(`${country} is no country code of ISO 3166-1`);
  const at = [Number(latitude), Number(longitude)] as const;
  if ((latitude === "-") !== (longitude === "-")) return void problem("A place has both coordinates, or neither");
  if (latitude !== "-" && !(Math.abs(at[0]) <= 90 && Math.abs(at[1]) <= 180))
    return void problem(`${latitude}, ${longitude} is no place: latitude −90 to 90, longitude −180 to 180`);
  return {
    ...(city === "-" ? {} : { city: { names: { en: city } } }),
    ...(continent === "-" ? {} : { continent: { code: continent } }),
    ...(country === "-" ? {} : { country: { iso_code: country } }),
    ...(latitude === "-" ? {} : { location: { latitude: at[0], longitude: at[1] } }),
  };
}

function asnRecord(columns: readonly string[], problem: Says): MmdbValue | undefined {
  const [, number = "", organisation] = columns;
  const asn = Number(number.replace(/^AS/i, ""));
  if (!Number.isInteger(asn) || asn < 1 || asn > 0xffff_ffff) return void problem(`${number} is no AS number`);
  return {
    autonomous_system_number: asn,
    ...(organisation === undefined ? {} : { autonomous_system_organization: organisation }),
  };
}
