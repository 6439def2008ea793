/**
 * Zone files → images, and which services their STEER records name.
 *
 * Owns:    the cache of images: a zone whose text did not change is not read again, so a reload that touches one line
 *          of services.yaml does not cost the time of a hundred thousand records. Zones that were loaded elsewhere
 *          (`app/zone-loader.ts`) are taken as they are.
 * @module
 */
import { createHash } from "node:crypto";
import type { Problem } from "#base/problem.ts";
import { type ConfigFiles, INCLUDE_PATTERN, type TextFile } from "#config/files.ts";
import type { SteerReference } from "#config/service.ts";
import { formatName, lowerName, parseName } from "#dns/wire/name.ts";
import { type ReadZone, readZone } from "#dns/zone/read-zone.ts";
import type { ZoneImage } from "#state/zone-image.ts";

type Include = ConfigFiles["include"];
/** A zone, and the digest of all the texts that it was made from. */
export type LoadedZone = ReadZone & { readonly digest: string };
/** One for the life of the process. */
export type ZoneCache = Map<string, LoadedZone>;

export type CompiledZones = {
  readonly images: readonly ZoneImage[];
  readonly steers: readonly SteerReference[];
  readonly recordCount: number;
};

/** Over the text of a zone and of all that it includes; a file that includes itself counts once. */
function digestOf(zone: TextFile, include: Include): string {
  const hash = createHash("sha256");
  const seen = new Set<string>();
  const add = (file: TextFile): void => {
    if (seen.has(file.file)) return;
    seen.add(file.file);
    hash.update(`${file.file}\0${file.text.length}\0${file.text}`);
    for (const match of file.text.matchAll(INCLUDE_PATTERN)) {
      const included = include(match[1] ?? match[2]!, file.file);
      if (included) add(included);
    }
  };
  add(zone);
  return hash.digest("hex");
}

function loadCached(zone: TextFile, apex: Uint8Array, seed: number, include: Include, cache: ZoneCache): LoadedZone {
  const { file, text } = zone;
  const digest = digestOf(zone, include);
  const known = cache.get(file);
  if (known?.digest === digest) return known;
  const loaded = { digest, ...readZone(text, apex, seed, { file, include }) };
  cache.set(file, loaded);
  return loaded;
}

/** @param seed of the name hash, one for the life of the process */
export function compileZones(files: ConfigFiles, seed: number, cache: ZoneCache, problems: Problem[]): CompiledZones {
  const images: ZoneImage[] = [];
  const steers: SteerReference[] = [];
  const owners = new Map<string, string>();
  for (const zone of files.zones) {
    const start = { file: zone.file, line: 1, column: 1, path: "", severity: "error" } as const;
    const parsed = parseName(zone.origin);
    if (typeof parsed === "number") {
      problems.push({
        ...start,
        says: `${JSON.stringify(zone.origin)} is not a domain name`,
        fix: "Name the file after its zone, such as example.com.zone",
      });
      continue;
    }
    const apex = lowerName(parsed);
    const apexText = formatName(apex);
    const owner = owners.get(apexText);
    if (owner !== undefined) {
      problems.push({
        ...start,
        says: `The zone ${apexText} is already in ${owner}`,
        fix: "Keep one of the two files",
      });
      continue;
    }
    owners.set(apexText, zone.file);
    const loaded = zone.loaded ?? loadCached(zone, apex, seed, files.include, cache);
    for (const problem of loaded.problems) problems.push(problem);
    for (const steer of loaded.steers) steers.push(steer); // not spread: there may be more of them than a call takes
    if (loaded.image) images.push(loaded.image);
  }
  for (const file of cache.keys()) {
    if (!files.zones.some((zone) => zone.file === file && !zone.loaded)) cache.delete(file);
  }
  return { images, steers, recordCount: images.reduce((sum, image) => sum + image.recordCount, 0) };
}
