/** Test helper: samples of other products' files, what becomes of them, and whether `rhumb check` accepts it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { parse } from "yaml";
import { formatProblem } from "#base/problem.ts";
import { type CompileResult, compile, createCompileContext } from "#config/compile.ts";
import { IMPORT_FORMATS, type ImportFormat } from "#config/import/formats.ts";
import { formatNote } from "#config/import/notes.ts";
import { readSources } from "#config/import/read-sources.ts";
import { filesOf, type Imported } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { streamText } from "#config/import/write-files.ts";

export const samplesFolder = join(import.meta.dirname, "samples");

/** Each sample with what the command line would name beside it. */
export const SAMPLES: readonly { readonly format: ImportFormat; readonly file: string; readonly extra?: string }[] = [
  { format: "haproxy", file: "haproxy.cfg" },
  { format: "nginx", file: "nginx/nginx.conf" },
  { format: "gdnsd", file: "gdnsd/config", extra: "gdnsd/zones" },
  { format: "route53", file: "route53/sets.json", extra: "route53/health-checks.json" },
  { format: "route53", file: "route53/change-batch.json" },
];

export function sourcesOf({ file, extra }: (typeof SAMPLES)[number]): Sources {
  const path = join(samplesFolder, file);
  assert.ok(existsSync(path), path);
  const sources = readSources(path, { extra: extra === undefined ? [] : [join(samplesFolder, extra)] });
  const shown = <T extends { readonly file: string }>(one: T): T => ({
    ...one,
    file: relative(samplesFolder, one.file),
  });
  return {
    ...shown(sources),
    open: (pattern) => (sources.open?.(pattern) ?? []).map(shown),
    extra: sources.extra?.map(shown) ?? [],
  };
}

export const importText = (format: ImportFormat, text: string, more: Partial<Sources> = {}): Imported =>
  IMPORT_FORMATS[format]({ file: "sample", text, ...more });

/** Files, then notes, as people see them. */
export const goldenText = ({ files, notes }: Imported): string =>
  `${streamText(files)}\n${notes.map((note) => `${note.kind === "changed" ? "~" : "-"} ${formatNote(note)}\n`).join("")}`;

export function compileImported({ files }: Imported): CompileResult {
  const context = createCompileContext((octets) => new Uint8Array(octets), 2);
  return compile(filesOf(files), { ...context, generation: { epoch: 1, sequence: 1 }, nowMs: 0 });
}

export function assertAccepted(imported: Imported): void {
  const result = compileImported(imported);
  if ("problems" in result) assert.fail(result.problems.map(formatProblem).join("\n"));
}

/** `key: value` lines of the one file that a balancer is made of. */
export const rootText = ({ files }: Imported): string => files.find(({ path }) => path === "rhumb.yaml")?.text ?? "";
export const fileText = ({ files }: Imported, path: string): string =>
  files.find((file) => file.path === path)?.text ?? assert.fail(`no ${path}`);
export const noteTexts = ({ notes }: Imported): string[] => notes.map(formatNote);
export const goldenNames = (): string[] => readdirSync(samplesFolder).filter((name) => name.endsWith(".golden"));

type Plain = Readonly<Record<string, unknown>>;
/** The section `balancer` of what was imported, as plain values. */
export function balancerOf(imported: Imported): {
  readonly listeners: Record<string, Plain>;
  readonly pools: Record<string, Plain>;
} {
  assertAccepted(imported);
  return parse(rootText(imported)).balancer;
}
export const yamlOf = (imported: Imported, path: string): Record<string, Plain> => parse(fileText(imported, path));
