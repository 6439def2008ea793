/**
 * Reads texts below the folder of rhumb.yaml, and keeps account: what was read or looked for, a digest over all of it,
 * and what could not be read.
 *
 * Never:   judges what it reads.
 * @module
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, isAbsolute, join, normalize, relative, resolve, sep } from "node:path";
import { fileIdentityOrNothing } from "#base/file-identity.ts";
import type { TextFile, UnreadableFile } from "#config/files.ts";
import type { Path } from "#config/yaml.ts";

/** Where the configuration lies. */
export type Place = {
  /** Absolute folder of rhumb.yaml: relative paths start here. */
  readonly folder: string;
  /** The same as messages show it: the way the operator wrote it. */
  readonly shownFolder: string;
};

const MAX_FILE_OCTETS = 256 * 1_048_576;
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
export const isInside = (folder: string, file: string): boolean => {
  const rest = relative(folder, file);
  return rest !== "" && rest !== ".." && !rest.startsWith(`..${sep}`) && !isAbsolute(rest);
};

export type TextReader = ReturnType<typeof createTextReader>;

export function createTextReader({ folder, shownFolder }: Place) {
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
    if (statSync(full).size > MAX_FILE_OCTETS) throw new Error(`the file is larger than ${MAX_FILE_OCTETS} octets`);
    const octets = readFileSync(full);
    hash.update(`${full}\0${octets.length}\0`).update(octets);
    sources.push(full);
    return octets.toString("utf8");
  };
  return {
    absolute,
    shown,
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
      try {
        folders.add(absolute(path));
        listed.push(absolute(path));
        return readdirSync(absolute(path))
          .filter((name) => extname(name) === extension && !name.startsWith("."))
          .sort();
      } catch (error) {
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
