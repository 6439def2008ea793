/**
 * Maps of named entries, and values whose schema depends on their `kind`: read one by one, so that a mistake in one does
 * not hide the others.
 * @module
 */
import type { z } from "zod";
import { NAME_PATTERN } from "#base/field.ts";
import type { Problem } from "#base/problem.ts";
import { readValue } from "#config/read-value.ts";
import { suggest } from "#config/suggest.ts";
import { type Path, pathText, type YamlSource } from "#config/yaml.ts";

export type Entries<T> = {
  readonly source: YamlSource;
  /** Where the map stands in `source`. */
  readonly path: Path;
  /** Entries without problems. */
  readonly valid: ReadonlyMap<string, T>;
  /** All names that the file gives. */
  readonly names: ReadonlySet<string>;
  /**
   * Whether a reference to `name` can be meant: also to a broken entry, and to anything when the file could not be
   * read. What is wrong there has been said, and is not said again at every reference.
   */
  has(name: string): boolean;
};

export const isPlainMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function problemAt(
  source: YamlSource,
  path: Path,
  says: string,
  fix: string,
  want: "key" | "value" = "value",
): Problem {
  return { ...source.at(path, want), path: pathText(path), severity: "error", says, fix };
}

/** One value whose schema depends on its `kind`. */
export function readKind<S extends Record<string, z.ZodType>>(
  source: YamlSource,
  path: Path,
  schemas: S,
  value: unknown,
  problems: Problem[],
): z.output<S[keyof S]> | undefined {
  const kinds = Object.keys(schemas);
  if (!isPlainMap(value)) {
    problems.push(problemAt(source, path, "Must be a map", `Start with \`kind:\`, one of ${kinds.join(", ")}`));
    return undefined;
  }
  const kind = value["kind"];
  if (typeof kind !== "string" || !Object.hasOwn(schemas, kind)) {
    const says = kind === undefined ? "Is missing" : `Unknown kind ${JSON.stringify(kind)}`;
    problems.push(problemAt(source, [...path, "kind"], says, suggest(String(kind ?? ""), kinds, "kind")));
    return undefined;
  }
  return readValue(source, path, schemas[kind]!, value, problems) as z.output<S[keyof S]> | undefined;
}

type Where = {
  readonly source: YamlSource;
  /** Path of the map in `source`. */
  readonly path: Path;
  readonly value: unknown;
  /** False: the file was not there, so that any name can be meant. */
  readonly isGiven: boolean;
};

/** A map from names to entries of one schema. */
export function readEntries<T extends z.ZodType>(
  { source, path, value, isGiven }: Where,
  schema: T,
  noun: string,
  problems: Problem[],
): Entries<z.output<T>> {
  const valid = new Map<string, z.output<T>>();
  const names = new Set<string>();
  const isReadable = isPlainMap(value) || !isGiven;
  if (isPlainMap(value)) {
    for (const [name, entry] of Object.entries(value)) {
      names.add(name);
      const at = [...path, name];
      if (!NAME_PATTERN.test(name)) {
        const fix =
          "Use up to 63 lower-case letters, digits, dots, dashes and underscores; start with a letter or digit";
        problems.push(problemAt(source, at, `${JSON.stringify(name)} is not the name of a ${noun}`, fix, "key"));
      }
      const read = readValue(source, at, schema, entry, problems);
      if (read !== undefined) valid.set(name, read);
    }
  } else if (value !== undefined && value !== null) {
    problems.push(
      problemAt(source, path, "Must be a map", `Write the name of each ${noun}, and below it its settings`),
    );
  }
  return { source, path, valid, names, has: (name) => !isReadable || names.has(name) };
}
