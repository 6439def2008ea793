/**
 * Texts → typed configuration, file by file. All problems at once; a mistake in one entry does not hide the others.
 *
 * Never:   looks from one file into another: `config/check.ts` does.
 * @module
 */

import type { z } from "zod";
import type { ControlConfig } from "#api/config.ts";
import { NAME_PATTERN } from "#base/field.ts";
import type { Problem } from "#base/problem.ts";
import type { ClusterConfig } from "#cluster/config.ts";
import type { ConfigFiles, TextFile } from "#config/files.ts";
import { readValue } from "#config/read-value.ts";
import { NOT_SUPPORTED, NOTIFY_KINDS, ROOT_KEYS, ROOT_SECTIONS } from "#config/schema.ts";
import { suggest } from "#config/suggest.ts";
import { type Path, parseYaml, pathText, type YamlSource } from "#config/yaml.ts";
import type { DnsConfig } from "#dns/config.ts";
import {
  type GeoConfig,
  type GeoOverrideConfig,
  geoOverrideSchema,
  type RegionConfig,
  regionSchema,
} from "#geo/config.ts";
import {
  CHECK_KINDS,
  CHECK_SCHEMAS,
  type CheckConfig,
  type HealthConfig,
  type OverrideConfig,
  overrideSchema,
} from "#health/config.ts";
import { NOTIFY_SCHEMAS, type NotifyConfig } from "#notify/config.ts";
import { type ServiceConfig, serviceSchema } from "#steer/config.ts";

/** A section is undefined when it is absent, or when it has problems. */
export type RootConfig = {
  readonly source: YamlSource;
  readonly node: string | undefined;
  readonly dns: DnsConfig | undefined;
  readonly hasDns: boolean;
  readonly control: ControlConfig | undefined;
  readonly hasControl: boolean;
  readonly zones: string;
  readonly geo: GeoConfig | undefined;
  readonly health: HealthConfig | undefined;
  readonly cluster: ClusterConfig | undefined;
  readonly notify: ReadonlyMap<string, NotifyConfig>;
};

export type Entries<T> = {
  readonly source: YamlSource;
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

export type ParsedConfig = {
  readonly root: RootConfig;
  readonly regions: Entries<RegionConfig>;
  readonly services: Entries<ServiceConfig>;
  readonly geoOverrides: readonly {
    readonly source: YamlSource;
    readonly path: Path;
    readonly value: GeoOverrideConfig;
  }[];
  readonly healthOverrides: readonly {
    readonly source: YamlSource;
    readonly path: Path;
    readonly value: OverrideConfig;
  }[];
  readonly checks: ReadonlyMap<string, { readonly source: YamlSource; readonly value: CheckConfig }>;
  readonly checkNames: ReadonlySet<string>;
};

/** What the API changed, as a JSON merge patch (RFC 7396) on the maps of services and regions. */
export type Overlay = {
  readonly services?: Readonly<Record<string, unknown>>;
  readonly regions?: Readonly<Record<string, unknown>>;
};
export const OVERLAY_FILE = "(api)";

const isPlainMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON merge patch (RFC 7396 §2). `null` removes. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlainMap(patch)) return patch;
  const merged = new Map<string, unknown>(isPlainMap(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

function overlaid(
  source: YamlSource,
  section: "services" | "regions",
  patch: Readonly<Record<string, unknown>> | undefined,
): YamlSource {
  if (!patch) return source;
  return {
    file: source.file,
    value: mergePatch(source.value ?? {}, patch),
    at: (path, want) =>
      Object.hasOwn(patch, String(path[0]))
        ? { file: `${OVERLAY_FILE} ${section}`, line: 1, column: 1 }
        : source.at(path, want),
  };
}

function problemAt(
  source: YamlSource,
  path: Path,
  says: string,
  fix: string,
  want: "key" | "value" = "value",
): Problem {
  return { ...source.at(path, want), path: pathText(path), severity: "error", says, fix };
}

/** Removes what is refused as not supported yet, after saying so. */
function refuseUnsupported(source: YamlSource, value: Record<string, unknown>, problems: Problem[]): void {
  for (const { path, values, fix } of NOT_SUPPORTED) {
    const holder = path.length === 1 ? value : value[path[0]!];
    const key = String(path.at(-1));
    if (!isPlainMap(holder) || !Object.hasOwn(holder, key)) continue;
    if (values && !values.includes(String(holder[key]))) continue;
    const what = values ? `${pathText(path)}: ${String(holder[key])}` : pathText(path);
    problems.push(problemAt(source, path, `\`${what}\` is not supported yet`, fix, "key"));
    delete holder[key];
  }
}

/** One value whose schema depends on its `kind`. */
function readKind<S extends Record<string, z.ZodType>>(
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

/** rhumb.yaml alone: the loader needs its paths before it can read the rest. */
export function parseRoot(file: TextFile, problems: Problem[]): RootConfig {
  const source = parseYaml(file.file, file.text, problems);
  const isEmpty = source.value === undefined || source.value === null;
  if (!isPlainMap(source.value)) {
    if (!isEmpty || problems.length === 0)
      problems.push(
        problemAt(
          source,
          [],
          isEmpty ? "The file is empty" : "Must be a map",
          "Start with `version: 1`; `rhumb init` writes a first one",
        ),
      );
  }
  const value = isPlainMap(source.value) ? structuredClone(source.value) : {};
  refuseUnsupported(source, value, problems);
  const isUsable = isPlainMap(source.value);
  // Without a readable file there are no sections, not even those that consist of defaults.
  const section = <K extends keyof typeof ROOT_SECTIONS>(key: K) =>
    (isUsable ? readValue(source, [key], ROOT_SECTIONS[key], value[key], problems) : undefined) as
      | z.output<(typeof ROOT_SECTIONS)[K]>
      | undefined;
  for (const key of Object.keys(value)) {
    if (ROOT_KEYS.includes(key)) continue;
    problems.push(problemAt(source, [key], "Unknown key", suggest(key, ROOT_KEYS, "key"), "key"));
  }
  section("version");
  const notify = new Map<string, NotifyConfig>();
  if (isPlainMap(value["notify"])) {
    for (const [name, sink] of Object.entries(value["notify"])) {
      const path = ["notify", name];
      if (!NAME_PATTERN.test(name))
        problems.push(
          problemAt(
            source,
            path,
            `${JSON.stringify(name)} is not a name`,
            "Use lower-case letters, digits and dashes",
            "key",
          ),
        );
      const read = readKind(source, path, NOTIFY_SCHEMAS, sink, problems);
      if (read) notify.set(name, read);
    }
  } else if (value["notify"] !== undefined && value["notify"] !== null) {
    problems.push(
      problemAt(
        source,
        ["notify"],
        "Must be a map",
        `Write a name, and below it \`kind:\`, one of ${NOTIFY_KINDS.join(", ")}`,
      ),
    );
  }
  return {
    source,
    node: section("node"),
    dns: section("dns"),
    hasDns: value["dns"] !== undefined,
    control: section("control"),
    hasControl: value["control"] !== undefined,
    zones: section("zones") ?? "zones/",
    geo: section("geo"),
    health: section("health"),
    cluster: section("cluster"),
    notify,
  };
}

/** A file that maps names to entries of one schema. */
function readEntries<T extends z.ZodType>(
  source: YamlSource,
  schema: T,
  noun: string,
  isGiven: boolean,
  problems: Problem[],
): Entries<z.output<T>> {
  const valid = new Map<string, z.output<T>>();
  const names = new Set<string>();
  const isReadable = isPlainMap(source.value) || !isGiven;
  if (isPlainMap(source.value)) {
    for (const [name, entry] of Object.entries(source.value)) {
      names.add(name);
      if (!NAME_PATTERN.test(name)) {
        const fix =
          "Use up to 63 lower-case letters, digits, dots, dashes and underscores; start with a letter or digit";
        problems.push(problemAt(source, [name], `${JSON.stringify(name)} is not the name of a ${noun}`, fix, "key"));
      }
      const read = readValue(source, [name], schema, entry, problems);
      if (read !== undefined) valid.set(name, read);
    }
  } else if (source.value !== undefined && source.value !== null) {
    problems.push(problemAt(source, [], "Must be a map", `Write the name of each ${noun}, and below it its settings`));
  }
  return { source, valid, names, has: (name) => !isReadable || names.has(name) };
}

function readList<T extends z.ZodType>(source: YamlSource, schema: T, problems: Problem[]) {
  const list: { source: YamlSource; path: Path; value: z.output<T> }[] = [];
  if (Array.isArray(source.value)) {
    for (const [index, entry] of source.value.entries()) {
      const value = readValue(source, [index], schema, entry, problems);
      if (value !== undefined) list.push({ source, path: [index], value });
    }
  } else if (source.value !== undefined && source.value !== null) {
    problems.push(problemAt(source, [], "Must be a list", "Start each entry with a dash"));
  }
  return list;
}

const missing = (file: string): YamlSource => ({ file, value: undefined, at: () => ({ file, line: 1, column: 1 }) });

/** @param overlay what the API changed; lies over services.yaml and regions.yaml */
export function parseConfig(files: ConfigFiles, overlay: Overlay, problems: Problem[]): ParsedConfig {
  const root = parseRoot(files.root, problems);
  const open = (file: TextFile | undefined, name: string): YamlSource =>
    file ? parseYaml(file.file, file.text, problems) : missing(name);
  /** There is such a file, or its absence has been said. */
  const isGiven = (file: TextFile | undefined, path: Path): boolean =>
    file !== undefined || files.unreadable.some((entry) => pathText(entry.path) === pathText(path));
  const checks = new Map<string, { source: YamlSource; value: CheckConfig }>();
  const checkNames = new Set<string>();
  for (const file of files.checks) {
    checkNames.add(file.name);
    const source = parseYaml(file.file, file.text, problems);
    if (!NAME_PATTERN.test(file.name))
      problems.push(
        problemAt(
          source,
          [],
          `${JSON.stringify(file.name)} is not the name of a check`,
          "Rename the file: lower-case letters, digits, dots, dashes",
        ),
      );
    if (source.value === undefined || source.value === null) {
      problems.push(
        problemAt(source, [], "The check is empty", `Start with \`kind:\`, one of ${CHECK_KINDS.join(", ")}`),
      );
      continue;
    }
    const value = readKind(source, [], CHECK_SCHEMAS, source.value, problems);
    if (value) checks.set(file.name, { source, value });
  }
  const regions = overlaid(
    open(files.regions, root.geo?.regions ?? "geo-data/regions.yaml"),
    "regions",
    overlay.regions,
  );
  const services = overlaid(open(files.services, "zones/services.yaml"), "services", overlay.services);
  return {
    root,
    regions: readEntries(regions, regionSchema, "region", isGiven(files.regions, ["geo", "regions"]), problems),
    services: readEntries(services, serviceSchema, "service", isGiven(files.services, ["zones"]), problems),
    geoOverrides: readList(open(files.geoOverrides, "geo-data/overrides.yaml"), geoOverrideSchema, problems),
    healthOverrides: readList(open(files.healthOverrides, "health/overrides.yaml"), overrideSchema, problems),
    checks,
    checkNames,
  };
}
