/**
 * `rhumb geo build` and `rhumb geo lookup`: functions that return text and an exit code; `main.ts` prints.
 * @module
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { RhumbError } from "#base/errors.ts";
import { parseIp } from "#base/ip.ts";
import { formatProblem } from "#base/problem.ts";
import { openAsnDatabase, openPlaceDatabase, readDatabaseFile } from "#geo/database.ts";
import { createGeoLookup, type GeoLookup } from "#geo/lookup.ts";
import { writeMmdb } from "#geo/mmdb-writer.ts";
import { parseGeoSource } from "#geo/source-text.ts";
import { GEO_MATCH } from "#state/class-facts.ts";
import type { GeoOverride, RegionSpec } from "#state/snapshot.ts";
import { createClassifier } from "#steer/classify.ts";

/** `exitCode` 0: done; 1: it failed; 2: wrong use. */
export type CommandResult = { readonly exitCode: 0 | 1 | 2; readonly out: string; readonly err: string };

const done = (out: string): CommandResult => ({ exitCode: 0, out, err: "" });
const failed = (error: unknown): CommandResult => {
  if (!(error instanceof RhumbError)) throw error;
  return { exitCode: 1, out: "", err: `${error.message}\n${error.fix}\n` };
};

export type GeoBuildOptions = {
  /** Text source, such as geo-data/demo.txt. */
  readonly source: string;
  /** Database to write; replaced at once when all is well. */
  readonly output: string;
};

/** Builds a database from text. The same text makes the same octets. */
export function runGeoBuild({ source, output }: GeoBuildOptions): CommandResult {
  try {
    let text: string;
    try {
      text = readFileSync(source, "utf8");
    } catch (cause) {
      throw new RhumbError("RHUMB_CONFIG_UNREADABLE", source, { cause });
    }
    const { source: parsed, problems } = parseGeoSource(text, source);
    if (problems.length > 0) {
      const { message, fix } = new RhumbError("RHUMB_GEO_SOURCE_INVALID", source);
      return { exitCode: 1, out: "", err: `${[...problems.map(formatProblem), message, fix].join("\n")}\n` };
    }
    const bytes = writeMmdb(parsed.networks, parsed.options);
    // What was written is opened as the server would, before it takes the place of the old file.
    const database = parsed.kind === "asn" ? openAsnDatabase(output, bytes) : openPlaceDatabase(output, bytes);
    const temporary = `${output}.${process.pid}.new`;
    try {
      writeFileSync(temporary, bytes);
      renameSync(temporary, output);
    } catch (cause) {
      rmSync(temporary, { force: true });
      throw new RhumbError("RHUMB_GEO_UNWRITABLE", `${output}: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
    const { type, builtAtMs, tree } = database;
    const built = new Date(builtAtMs).toISOString();
    return done(`${output}: ${type}, ${tree.networks} networks, ${bytes.length} octets, built ${built}\n`);
  } catch (error) {
    return failed(error);
  }
}

export type GeoLookupOptions = {
  readonly address: string;
  /** City or Country database; without one the configuration's is used. */
  readonly database: string | undefined;
  readonly asnDatabase: string | undefined;
  readonly json: boolean;
  /** From the configuration, where there is one: overrides apply, and regions are put in order for this client. */
  readonly config?: { readonly overrides: readonly GeoOverride[]; readonly regions: readonly RegionSpec[] } | undefined;
};

type RankedRegion = { readonly id: string; readonly match: string; readonly distanceKm: number | null };

/** Shows what databases and overrides say of an address, and which regions suit it best before health and policy. */
export function runGeoLookup(options: GeoLookupOptions): CommandResult {
  const { database, asnDatabase, config } = options;
  const address = parseIp(options.address);
  if (!address) {
    const err = `${JSON.stringify(options.address)} is not an IP address, such as 198.51.100.7 or 2001:db8::1\n`;
    return { exitCode: 2, out: "", err };
  }
  if (database === undefined && asnDatabase === undefined && config === undefined)
    return { exitCode: 2, out: "", err: "Give a database with --database, or a configuration with --config\n" };
  try {
    // Opened in full first, so that a broken file says so instead of something wrong.
    if (database !== undefined) openPlaceDatabase(database);
    if (asnDatabase !== undefined) openAsnDatabase(asnDatabase);
    const found = createGeoLookup({
      places: database === undefined ? undefined : readDatabaseFile(database),
      asns: asnDatabase === undefined ? undefined : readDatabaseFile(asnDatabase),
      overrides: config?.overrides ?? [],
    })(address);
    const regions = config && rankRegions(found, config.regions);
    return done(
      options.json ? `${JSON.stringify(toJson(found, regions), null, 2)}\n` : toText(found, regions, options),
    );
  } catch (error) {
    return failed(error);
  }
}

function rankRegions({ location }: GeoLookup, regions: readonly RegionSpec[]): RankedRegion[] {
  const regionIds = regions.map(({ id }) => id);
  const nearest = [{ bias: {}, slackKm: 0 }];
  const spec = { mapId: "", regionIds, usesGeo: true, nearest, usesLatency: false, fences: [], vantage: undefined };
  const { facts } = createClassifier(spec, regions)(location);
  const names = Object.keys(GEO_MATCH);
  const preference = (id: string): number => {
    const at = location.preferred.indexOf(id);
    return at < 0 ? Number.MAX_SAFE_INTEGER : at;
  };
  return regionIds
    .map((id, index) => ({ id, match: facts.match[index]!, distanceKm: facts.distanceKm[index]! }))
    .sort((a, b) => b.match - a.match || preference(a.id) - preference(b.id) || a.distanceKm - b.distanceKm)
    .map(({ id, match, distanceKm }) => ({ id, match: names[match]!, distanceKm: distanceKm < 0 ? null : distanceKm }));
}

/** NaN is not JSON: what is not known is null. */
function toJson(found: GeoLookup, regions: readonly RankedRegion[] | undefined): unknown {
  const { location, ...rest } = found;
  const orNull = <T>(value: T | undefined | ""): T | null => (value === undefined || value === "" ? null : value);
  return {
    address: rest.address,
    looksUp: rest.looksUp,
    note: orNull(rest.note),
    network: orNull(rest.network),
    record: orNull(rest.record),
    asnNetwork: orNull(rest.asnNetwork),
    asnRecord: orNull(rest.asnRecord),
    location: {
      isKnown: location.isKnown,
      continent: orNull(location.continent),
      country: orNull(location.country),
      latitude: Number.isNaN(location.latitude) ? null : location.latitude,
      longitude: Number.isNaN(location.longitude) ? null : location.longitude,
      asn: location.asn === 0 ? null : location.asn,
      override: orNull(location.override),
      preferred: location.preferred,
    },
    regions: regions ?? null,
  };
}

function toText(found: GeoLookup, regions: readonly RankedRegion[] | undefined, options: GeoLookupOptions): string {
  const { location, record, asnRecord } = found;
  const lines: [string, string][] = [["address", found.address]];
  if (found.looksUp !== found.address) lines.push(["looked up as", found.looksUp]);
  if (found.note !== undefined) lines.push(["note", found.note]);
  if (options.database !== undefined) {
    lines.push(["network", found.network ?? "not in the database"]);
    const names = [record?.city?.names.en, record?.subdivisions?.[0]?.names.en, record?.country?.names?.en];
    const shown = names.filter((name) => name !== undefined).join(", ");
    if (shown !== "") lines.push(["name", shown]);
  }
  if (options.asnDatabase !== undefined) {
    const organisation = asnRecord?.autonomous_system_organization;
    const asn = asnRecord
      ? `AS${asnRecord.autonomous_system_number}${organisation ? ` ${organisation}` : ""}`
      : "unknown";
    lines.push(["AS", found.asnNetwork ? `${asn} (${found.asnNetwork})` : asn]);
  }
  if (location.override !== undefined) lines.push(["override", location.override]);
  const codes = [location.continent, location.country].filter((code) => code !== "").join("/");
  const at = Number.isNaN(location.latitude) ? "" : ` at ${location.latitude}, ${location.longitude}`;
  lines.push(["taken for", location.isKnown ? `${codes || "a place without a name"}${at}` : "an unknown client"]);
  for (const [index, { id, match, distanceKm }] of (regions ?? []).entries()) {
    const distance = distanceKm === null ? "distance unknown" : `${distanceKm} km`;
    lines.push([index === 0 ? "regions" : "", `${id}  match: ${match}, ${distance}`]);
  }
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join("");
}
