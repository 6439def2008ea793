/**
 * Reads what an import is made from, within bounds: the file that was named, what it includes, what else was named.
 *
 * Never:   follows an include out of the folder of the file.
 * @module
 */
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { RhumbError } from "#base/errors.ts";
import type { Sources } from "#config/import/sources.ts";

/** Of all files together: far beyond what people write, and far below what would stop a machine. */
const MAX_OCTETS = 32 * 1_048_576;
const MAX_FILES = 2_048;
const MAX_PATTERN = 1_024;

/** The file, or `-` for standard input. */
function readBounded(path: string, left: number): string {
  const descriptor = path === "-" ? 0 : openSync(path, "r");
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.alloc(65_536);
      const read = readSync(descriptor, chunk);
      if (read === 0)
        return Buffer.concat(chunks)
          .toString("utf8")
          .replace(/^\uFEFF/, "");
      size += read;
      if (size > left) throw new RangeError("too large");
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** `*` any characters, `?` one; no character of a path's own. Linear in pattern times name. */
function matchesGlob(pattern: string, name: string): boolean {
  let [at, next, star, took] = [0, 0, -1, 0];
  while (next < name.length) {
    if (pattern[at] === "*") [star, took] = [at++, next];
    else if (pattern[at] === "?" || pattern[at] === name[next]) {
      at++;
      next++;
    } else if (star >= 0) [at, next] = [star + 1, ++took];
    else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

function findFiles(folder: string, pattern: string): string[] {
  let found = [folder];
  for (const step of relative(folder, pattern).split(sep)) {
    found = found.flatMap((path) => {
      if (!/[*?]/.test(step)) return [join(path, step)];
      try {
        // As shells do: a star does not stand for a dot at the beginning.
        const names = readdirSync(path).filter((name) => !name.startsWith(".") && matchesGlob(step, name));
        return names.sort().map((name) => join(path, name));
      } catch {
        return [];
      }
    });
  }
  return found.slice(0, MAX_FILES);
}

export type SourceOptions = {
  /** A file, or a folder whose files are all taken. */
  readonly extra: readonly string[];
};

/** @throws RhumbError RHUMB_CONFIG_UNREADABLE */
export function readSources(file: string, { extra }: SourceOptions): Sources {
  let left = MAX_OCTETS;
  let files = 0;
  const read = (path: string): string => {
    try {
      if (++files > MAX_FILES) throw new RangeError("too many files");
      const text = readBounded(path, left);
      left -= text.length;
      return text;
    } catch (cause) {
      throw new RhumbError("RHUMB_CONFIG_UNREADABLE", path, { cause });
    }
  };
  const folder = resolve(dirname(file));
  const open: Sources["open"] = (pattern) => {
    const full = resolve(folder, pattern);
    if (pattern.length > MAX_PATTERN || file === "-" || !isWithin(folder, full)) return [];
    return findFiles(folder, full).flatMap((path) => {
      try {
        if (!isWithin(realpathSync(folder), realpathSync(path)) || !statSync(path).isFile()) return [];
        return [{ file: join(dirname(file), relative(folder, path)), text: read(path) }];
      } catch {
        return [];
      }
    });
  };
  const listed = extra.flatMap((path) => {
    try {
      if (!statSync(path).isDirectory()) return [path];
      return readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
        .map(({ name }) => join(path, name))
        .sort();
    } catch (cause) {
      throw new RhumbError("RHUMB_CONFIG_UNREADABLE", path, { cause });
    }
  });
  return {
    file: file === "-" ? "standard input" : isAbsolute(file) ? file : basename(file) === file ? file : join(file),
    text: read(file),
    open,
    extra: listed.map((path) => ({ file: path, text: read(path) })),
  };
}

const isWithin = (folder: string, path: string): boolean =>
  path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
