/**
 * Reads zone files and what they include, which stays within the folder of the zones.
 *
 * What is included is read ahead, so that parsing stays pure and a digest covers all of it.
 * @module
 */
import { realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { type ConfigFiles, INCLUDE_PATTERN, type TextFile } from "#config/files.ts";
import { isInside, type Place, type TextReader } from "#config/read-text.ts";

/** Deeper chains of $INCLUDE are loops. */
const MAX_INCLUDE_DEPTH = 16;

export type ZoneFiles = {
  readonly zones: readonly (TextFile & { readonly origin: string })[];
  readonly include: ConfigFiles["include"];
};

/** `example.com.zone` → `example.com.` */
const originOf = (name: string): string => `${basename(name, ".zone").replace(/\.+$/, "")}.`;

/**
 * @param zonesPath folder of the zones, as configured
 * @param names of files in it
 * @param maxOctets give up rather than read more than this
 * @returns undefined when it gave up; `reader` has then noted files for nothing
 */
export function readZoneFiles(
  place: Place,
  zonesPath: string,
  names: readonly string[],
  reader: TextReader,
  maxOctets = Number.POSITIVE_INFINITY,
): ZoneFiles | undefined {
  const zonesFolder = reader.absolute(zonesPath);
  const included = new Map<string, TextFile | undefined>();
  let left = maxOctets;
  const fits = (full: string): boolean => {
    try {
      left -= reader.pushedText(full)?.length ?? statSync(full).size;
    } catch {
      // Reading it will say why.
    }
    return left >= 0;
  };
  const keyOf = (path: string, from: string): string => {
    const file = isAbsolute(from) ? from : resolve(place.folder, relative(place.shownFolder, from));
    return resolve(dirname(file), path);
  };
  const open = (key: string): TextFile | undefined => {
    reader.note(key);
    try {
      // Both sides by their real paths: a symbolic link does not lead out of the folder. What was pushed is no link.
      const isPushed = reader.pushedText(key) !== undefined && isInside(zonesFolder, key);
      if (isPushed || isInside(realpathSync(zonesFolder), realpathSync(key)))
        return { file: reader.shown(join(zonesPath, relative(zonesFolder, key))), text: reader.readText(key) };
    } catch {
      // Missing or unreadable: the zone parser says so, with the line of the $INCLUDE.
    }
    return undefined;
  };
  /** @returns false when it is too much */
  const readIncludes = (zone: TextFile, depth: number): boolean => {
    for (const match of zone.text.matchAll(INCLUDE_PATTERN)) {
      const key = keyOf(match[1] ?? match[2]!, zone.file);
      if (included.has(key) || depth > MAX_INCLUDE_DEPTH) continue;
      if (!fits(key)) return false;
      const file = open(key);
      included.set(key, file);
      if (file && !readIncludes(file, depth + 1)) return false;
    }
    return true;
  };
  if (!names.every((name) => fits(join(zonesFolder, name)))) return undefined;
  const zones = names.flatMap((name) => {
    const file = reader.read(join(zonesPath, name), ["zones"], false);
    return file ? [{ ...file, origin: originOf(name) }] : [];
  });
  if (!zones.every((zone) => readIncludes(zone, 0))) return undefined;
  return { zones, include: (path, from) => included.get(keyOf(path, from)) };
}
