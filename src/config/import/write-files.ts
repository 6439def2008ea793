/**
 * Writes what was imported: all of its files, or none.
 * @module
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import type { ImportedFile } from "#config/import/render.ts";

/** @throws RhumbError RHUMB_CONFIG_IMPORT_OCCUPIED when a file is already there, and `isForced` is false */
export function writeImported(files: readonly ImportedFile[], folder: string, isForced: boolean): void {
  for (const { path } of files) {
    if (!isForced && existsSync(join(folder, path)))
      throw new RhumbError("RHUMB_CONFIG_IMPORT_OCCUPIED", join(folder, path));
  }
  for (const { path, text } of files) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text, { mode: 0o644, flag: isForced ? "w" : "wx" });
  }
}

/** All files in one stream; each begins with a comment that names it. */
export const streamText = (files: readonly ImportedFile[]): string =>
  files.map(({ path, text }) => `${path.endsWith(".zone") ? ";" : "#"} ── ${path}\n${text}`).join("---\n");
