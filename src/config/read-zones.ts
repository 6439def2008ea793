/**
 * Zone files → loaded zones, one after the other, so that no more than one text is held at a time.
 *
 * Owns:    what `app/zone-loader.ts` has done in a thread of its own: job and result are plain data and shared memory.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ConfigFiles, UnreadableFile, UnreadZones, ZoneFile } from "#config/files.ts";
import type { Shadow } from "#config/pushed.ts";
import { createTextReader } from "#config/read-text.ts";
import { readZoneFiles } from "#config/zone-files.ts";
import type { LoadedZone } from "#config/zones.ts";
import { lowerName, parseName } from "#dns/wire/name.ts";
import { readZone } from "#dns/zone/read-zone.ts";

export type ZonesJob = UnreadZones & {
  /** Of the name hash. */
  readonly seed: number;
  /** Digests of zones that are loaded already, by file. */
  readonly known: ReadonlyMap<string, string>;
};

export type ZonesResult = {
  /** By file; undefined: the zone is the known one. A file that could not be read is in `unreadable`. */
  readonly zones: readonly {
    readonly file: string;
    readonly origin: string;
    readonly loaded: LoadedZone | undefined;
  }[];
  /** Over all texts. */
  readonly digest: string;
  /** By absolute path of each file that was read or looked for: its identity (`base/file-identity.ts`) before that. */
  readonly identities: ReadonlyMap<string, string | undefined>;
  /** Absolute, of these files; `sources` are the files that were read. */
  readonly folders: readonly string[];
  readonly sources: readonly string[];
  readonly shadows: readonly Shadow[];
  readonly unreadable: readonly UnreadableFile[];
};

export function readZones({ place, zonesPath, names, seed, known }: ZonesJob): ZonesResult {
  const hash = createHash("sha256");
  const zones: ZonesResult["zones"][number][] = [];
  const identities = new Map<string, string | undefined>();
  const folders = new Set<string>();
  const sources: string[] = [];
  const shadows: Shadow[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const name of names) {
    const reader = createTextReader(place);
    const { zones: read, include } = readZoneFiles(place, zonesPath, [name], reader)!;
    const digest = reader.hash.digest("hex");
    hash.update(`${join(zonesPath, name)}\0${digest}`);
    for (const [path, identity] of reader.identities) identities.set(path, identity);
    for (const folder of reader.folders) folders.add(folder);
    sources.push(...reader.sources);
    shadows.push(...reader.shadows);
    unreadable.push(...reader.unreadable);
    for (const zone of read) {
      const { file, origin } = zone;
      const loaded = known.get(file) === digest ? undefined : { digest, ...load(zone, seed, include) };
      zones.push({ file, origin, loaded });
    }
  }
  return {
    zones,
    digest: hash.digest("hex"),
    identities,
    folders: [...folders].filter((path) => existsSync(path)),
    sources,
    shadows,
    unreadable,
  };
}

function load({ file, text, origin }: ZoneFile, seed: number, include: ConfigFiles["include"]) {
  const apex = parseName(origin);
  // `compileZones()` refuses the file for its name.
  if (typeof apex === "number") return { image: undefined, steers: [], problems: [] };
  return readZone(text, lowerName(apex), seed, { file, include });
}

/** `files` with the zones that had been left unread. */
export function withZones(files: ConfigFiles, result: ZonesResult, zones: readonly ZoneFile[]): ConfigFiles {
  return {
    ...files,
    zones,
    unread: undefined,
    sources: [...files.sources, ...result.sources],
    shadows: [...(files.shadows ?? []), ...result.shadows],
    unreadable: [...files.unreadable, ...result.unreadable],
    watched: {
      ...files.watched,
      files: [...files.watched.files, ...result.identities.keys()],
      folders: [...new Set([...files.watched.folders, ...result.folders])],
    },
    digest: createHash("sha256").update(`${files.digest}\0${result.digest}`).digest("hex"),
  };
}
