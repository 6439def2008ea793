/**
 * The files of a folder under the names by which they are pushed, and the way back.
 * @module
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { isScript } from "#config/check-pushed.ts";
import { INCLUDE_PATTERN } from "#config/files.ts";
import { parseRoot } from "#config/parse.ts";
import { type Layout, layoutOf, pathOf } from "#config/pushed.ts";
import { isInside } from "#config/read-text.ts";

const DEFAULT_LAYOUT: Layout = {
  zones: "zones",
  regions: "geo-data/regions.yaml",
  geoOverrides: "geo-data/overrides.yaml",
  checks: "health",
};

/** Where a configuration lies, and where it keeps its files. */
export type PushFolder = { readonly folder: string; readonly layout: Layout };

/**
 * @param path rhumb.yaml, which says where files lie, or a folder, which may still have to be made: where it has none, it is in the default
 *   layout
 * @throws RhumbError RHUMB_CONFIG_UNREADABLE
 */
export function openPushFolder(path: string): PushFolder {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? extname(path) !== ".yaml";
  const file = isFolder ? join(path, "rhumb.yaml") : path;
  if (isFolder && !existsSync(file)) return { folder: resolve(path), layout: DEFAULT_LAYOUT };
  return { folder: dirname(resolve(file)), layout: layoutOf(parseRoot({ file, text: read(file) }, [])) };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new RhumbError("RHUMB_CONFIG_UNREADABLE", file, { cause });
  }
}

export type Collected = {
  /** By name. */
  readonly files: Readonly<Record<string, string>>;
  /** Files that stay each node's own. */
  readonly leftOut: readonly { readonly file: string; readonly why: string }[];
};

/** All that can be pushed of a folder: zones with what they include, services, regions, geo overrides, checks. */
export function collectTexts(from: PushFolder): Collected {
  const { folder, layout } = from;
  const files: Record<string, string> = {};
  const leftOut: { file: string; why: string }[] = [];
  const take = (name: string): string | undefined => {
    const full = resolve(folder, pathOf(name, layout)!);
    if (files[name] !== undefined || !existsSync(full)) return files[name];
    files[name] = read(full);
    return files[name];
  };
  const takeZone = (name: string): void => {
    const isKnown = files[name] !== undefined;
    const text = take(name);
    if (isKnown || text === undefined) return;
    for (const match of text.matchAll(INCLUDE_PATTERN)) {
      const included = nameOf(from, resolve(folder, dirname(pathOf(name, layout)!), match[1] ?? match[2]!));
      if (included !== undefined) takeZone(included);
    }
  };
  for (const name of namesIn(resolve(folder, layout.zones), ".zone")) takeZone(`zones/${name}`);
  take("zones/services.yaml");
  take("geo-data/regions.yaml");
  take("geo-data/overrides.yaml");
  for (const name of namesIn(resolve(folder, layout.checks), ".yaml")) {
    if (name === "overrides.yaml") continue;
    const file = join(layout.checks, name);
    if (isScript(name, read(resolve(folder, file)))) leftOut.push({ file, why: "a check that runs a program" });
    else take(`health/${name}`);
  }
  return { files, leftOut };
}

const namesIn = (folder: string, extension: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => extname(name) === extension && !name.startsWith("."))
        .sort()
    : [];

/** @returns the name under which the file at `path` is pushed; undefined: it is not */
export function nameOf({ folder, layout }: PushFolder, path: string): string | undefined {
  const full = resolve(path);
  for (const name of ["geo-data/regions.yaml", "geo-data/overrides.yaml"])
    if (resolve(folder, pathOf(name, layout)!) === full) return name;
  const zones = resolve(folder, layout.zones);
  const name = isInside(zones, full)
    ? `zones/${relative(zones, full).split(sep).join("/")}`
    : dirname(full) === resolve(folder, layout.checks)
      ? `health/${basename(full)}`
      : "";
  return pathOf(name, layout) === undefined ? undefined : name;
}

/** @returns where the folder keeps the file that is pushed under `name`, absolute; undefined: there is no such name */
export function pathIn({ folder, layout }: PushFolder, name: string): string | undefined {
  const path = pathOf(name, layout);
  return path === undefined ? undefined : resolve(folder, path);
}

/** This node's own files under these names, as far as there are any. */
export function readOwnTexts(from: PushFolder, names: readonly string[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name of names) {
    const full = pathIn(from, name);
    if (full !== undefined && existsSync(full)) texts[name] = read(full);
  }
  return texts;
}
