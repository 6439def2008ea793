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
import type { AnycastConfig } from "#bgp/config.ts";
import type { ClusterConfig } from "#cluster/config.ts";
import { type Entries, isPlainMap, problemAt, readEntries, readKind } from "#config/entries.ts";
import type { ConfigFiles, TextFile } from "#config/files.ts";
import { OVERLAY_FILE, type Overlay, overlaid, overlaidRoot, type PoolsPatch } from "#config/overlay.ts";
import { type BalancerConfig, parseBalancer } from "#config/parse-balancer.ts";
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
import type { RumConfig } from "#rum/config.ts";
import { type ServiceConfig, serviceSchema } from "#steer/config.ts";

/** A section is undefined when it is absent, or when it has problems. */
export type RootConfig = {
  readonly source: YamlSource;
  readonly node: string | undefined;
  readonly dns: DnsConfig | undefined;
  readonly hasDns: boolean;
  readonly balancer: BalancerConfig | undefined;
  readonly control: ControlConfig | undefined;
  readonly hasControl: boolean;
  readonly zones: string;
  readonly geo: GeoConfig | undefined;
  readonly health: HealthConfig | undefined;
  readonly rum: RumConfig | undefined;
  readonly anycast: AnycastConfig | undefined;
  readonly cluster: ClusterConfig | undefined;
  readonly notify: ReadonlyMap<string, NotifyConfig>;
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

/** Removes what is refused as not supported yet, after saying so. */
function refuseUnsupported(source: YamlSource, value: Record<string, unknown>, problems: Problem[]): void {
  for (const { path, fix } of NOT_SUPPORTED) {
    const holder = path.length === 1 ? value : value[path[0]!];
    const key = String(path.at(-1));
    if (!isPlainMap(holder) || !Object.hasOwn(holder, key)) continue;
    problems.push(problemAt(source, path, `\`${pathText(path)}\` is not supported yet`, fix, "key"));
    delete holder[key];
  }
}

/**
 * rhumb.yaml alone: the loader needs its paths before it can read the rest.
 *
 * @param patch what the API changed of pools
 */
export function parseRoot(file: TextFile, problems: Problem[], patch?: PoolsPatch): RootConfig {
  const source = overlaidRoot(parseYaml(file.file, file.text, problems), patch);
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
    balancer: parseBalancer(source, value["balancer"], patch ?? {}, problems),
    control: section("control"),
    hasControl: value["control"] !== undefined,
    zones: section("zones") ?? "zones/",
    geo: section("geo"),
    health: section("health"),
    rum: section("rum"),
    anycast: section("anycast"),
    cluster: section("cluster"),
    notify,
  };
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

/** @param overlay what the API changed; lies over services.yaml, regions.yaml and the pools of rhumb.yaml */
export function parseConfig(files: ConfigFiles, overlay: Overlay, problems: Problem[]): ParsedConfig {
  const root = parseRoot(files.root, problems, overlay.pools);
  if (overlay.pools && Object.keys(overlay.pools).length > 0 && !root.balancer)
    problems.push({
      file: `${OVERLAY_FILE} pools`,
      line: 1,
      column: 1,
      path: "",
      severity: "error",
      says: "This node has no balancer, so that there are no pools to change",
      fix: "Send it to the balancer's own API",
    });
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
    regions: readEntries(
      { source: regions, path: [], value: regions.value, isGiven: isGiven(files.regions, ["geo", "regions"]) },
      regionSchema,
      "region",
      problems,
    ),
    services: readEntries(
      { source: services, path: [], value: services.value, isGiven: isGiven(files.services, ["zones"]) },
      serviceSchema,
      "service",
      problems,
    ),
    geoOverrides: readList(open(files.geoOverrides, "geo-data/overrides.yaml"), geoOverrideSchema, problems),
    healthOverrides: readList(open(files.healthOverrides, "health/overrides.yaml"), overrideSchema, problems),
    checks,
    checkNames,
  };
}
