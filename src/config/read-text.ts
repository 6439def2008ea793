/**
 * Reads texts below the folder of rhumb.yaml, and keeps account: what was read or looked for, a digest over all of it,
 * and what could not be read. Where a text was pushed, it is read in the place of the file.
 *
 * Never:   judges what it reads.
 * @module
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, normalize, relative, resolve, sep } from "node:path";
import { fileIdentityOrNothing } from "#base/file-identity.ts";
import type { TextFile, UnreadableFile } from "#config/files.ts";
import { type Layer, type Shadow, textDigest } from "#config/pushed.ts";
import type { Path } from "#config/yaml.ts";

/** Where the configuration lies. */
export type Place = {
  /** Absolute folder of rhumb.yaml: relative paths start here. */
  readonly folder: string;
  /** The same as messages show it: the way the operator wrote it. */
  readonly shownFolder: string;
  /** What was pushed; left out: nothing. */
  readonly layer?: Layer;
};

const MAX_FILE_OCTETS = 256 * 1_048_576;
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
export const isInside = (folder: string, file: string): boolean => {
  const rest = relative(folder, file);
  return rest !== "" && rest !== ".." && !rest.startsWith(`..${sep}`) && !isAbsolute(rest);
};

export type TextReader = ReturnType<typeof createTextReader>;

export function createTextReader({ folder, shownFolder, layer }: Place) {
  let pushed = layer;
  const shadows: Shadow[] = [];
  const hash = createHash("sha256");
  const identities = new Map<string, string | undefined>();
  const folders = new Set<string>();
  const listed: string[] = [];
  const sources: string[] = [];
  const unreadable: UnreadableFile[] = [];
  const absolute = (path: string): string => resolve(folder, path);
  const shown = (path: string): string => (isAbsolute(path) ? path : normalize(join(shownFolder, path)));
  /** Notes a file before it is read, or although it cannot be. */
  const note = (full: string): void => {
    identities.set(full, fileIdentityOrNothing(full));
    folders.add(dirname(full));
  };
  /** @throws what the system says, or that the file is too large */
  const readText = (path: string): string => {
    const full = absolute(path);
    note(full);
    const text = pushed?.texts.get(full);
    if (text !== undefined) return readPushed(full, shown(path), text);
    if (statSync(full).size > MAX_FILE_OCTETS) throw new Error(`the file is larger than ${MAX_FILE_OCTETS} octets`);
    const octets = readFileSync(full);
    hash.update(`${full}\0${octets.length}\0`).update(octets);
    sources.push(full);
    return octets.toString("utf8");
  };
  /** The file below it is looked at as well: who edits it is to be told. */
  const readPushed = (full: string, file: string, text: string): string => {
    let digest = "";
    try {
      digest = textDigest(readFileSync(full));
      sources.push(full);
    } catch {
      // There is no file, or none that may be read: it is not needed.
    }
    const before = pushed?.disk.get(full);
    const isEdited = before !== undefined && digest !== "" && digest !== before && digest !== textDigest(text);
    shadows.push({ name: pushed?.names.get(full) ?? "", file, digest, isEdited });
    hash.update(`${full}\0pushed\0${text.length}\0${digest}\0`).update(text);
    return text;
  };
  return {
    absolute,
    shown,
    /** Lays pushed texts over the files that are read from now on. */
    lay(next: Layer): void {
      pushed = next;
    },
    /** A pushed text at an absolute path. */
    pushedText: (full: string): string | undefined => pushed?.texts.get(full),
    /** Whether a text was pushed into the folder at an absolute path. */
    hasPushed: (folderPath: string): boolean =>
      [...(pushed?.texts.keys() ?? [])].some((full) => isInside(folderPath, full)),
    shadows,
    readText,
    /** @param isOptional a missing file is no problem */
    read(path: string, setting: Path, isOptional: boolean): TextFile | undefined {
      try {
        return { file: shown(path), text: readText(path) };
      } catch (error) {
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        if (!(isMissing && isOptional))
          unreadable.push({
            path: setting,
            says: isMissing ? `There is no file ${shown(path)}` : `Cannot read ${shown(path)}: ${messageOf(error)}`,
            fix: isMissing ? "Create it, or correct the path" : "Check that this user may read it",
          });
        return undefined;
      }
    },
    /** Names of the files with `extension` in a folder, sorted. */
    list(path: string, extension: string, setting: Path): string[] {
      const full = absolute(path);
      const added = [...(pushed?.texts.keys() ?? [])]
        .filter((one) => dirname(one) === full)
        .map((one) => basename(one));
      const sorted = (names: readonly string[]): string[] =>
        [...new Set(names)].filter((name) => extname(name) === extension && !name.startsWith(".")).sort();
      try {
        folders.add(full);
        listed.push(full);
        return sorted([...readdirSync(full), ...added]);
      } catch (error) {
        if (added.length > 0) return sorted(added);
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        unreadable.push({
          path: setting,
          says: isMissing ? `There is no folder ${shown(path)}` : `Cannot list ${shown(path)}: ${messageOf(error)}`,
          fix: isMissing
            ? "Create it, or correct the path"
            : "Check that it is a folder, and that this user may read it",
        });
        return [];
      }
    },
    hash,
    note,
    /** By absolute path of each file that was read or looked for: its identity before that. */
    identities,
    folders,
    listed,
    sources,
    unreadable,
  };
}
