/**
 * The `balancer:` section → typed configuration, its listeners and pools one by one.
 * @module
 */
import type { Problem } from "#base/problem.ts";
import { type Entries, isPlainMap, problemAt, readEntries, readKind } from "#config/entries.ts";
import type { PoolsPatch } from "#config/overlay.ts";
import { readValue } from "#config/read-value.ts";
import type { YamlSource } from "#config/yaml.ts";
import { CHECK_SCHEMAS, type CheckConfig } from "#health/config.ts";
import { type BalancerSettings, balancerSettingsSchema, type ListenerConfig, listenerSchema } from "#l4/config.ts";
import { type PoolConfig, poolSchema } from "#pool/config.ts";

export type BalancerConfig = {
  /** Undefined when they have problems. */
  readonly settings: BalancerSettings | undefined;
  readonly listeners: Entries<ListenerConfig>;
  readonly pools: Entries<PoolConfig>;
  /** Checks that stand inside of pools, by the name of the pool. */
  readonly checks: ReadonlyMap<string, CheckConfig>;
  /** What the API changed. */
  readonly patch: PoolsPatch;
};

/** Of checks inside of pools, and of the check of pools that name none: a backend is judged faster than a region. */
const BACKEND_CHECK = { interval: "5s", timeout: "3s" } as const;
const BACKEND_THRESHOLDS = { down: 3, up: 2, ok: 1 } as const;

function withDefaults(check: unknown): unknown {
  if (!isPlainMap(check)) return check;
  const thresholds = check["thresholds"] ?? {};
  return {
    ...BACKEND_CHECK,
    ...check,
    thresholds: isPlainMap(thresholds) ? { ...BACKEND_THRESHOLDS, ...thresholds } : thresholds,
  };
}
/** A TCP connection to the backend's port. */
export const DEFAULT_CHECK: CheckConfig = CHECK_SCHEMAS.tcp.parse(withDefaults({ kind: "tcp" }));

/** @param value the section, plain */
export function parseBalancer(
  source: YamlSource,
  value: unknown,
  patch: PoolsPatch,
  problems: Problem[],
): BalancerConfig | undefined {
  if (value === undefined) return undefined;
  if (!isPlainMap(value))
    problems.push(problemAt(source, ["balancer"], "Must be a map", "Start with `region:`, `listeners:` and `pools:`"));
  const { listeners, pools, ...settings } = isPlainMap(value) ? value : {};
  const entriesAt = (key: string, entries: unknown) => ({
    source,
    path: ["balancer", key],
    value: entries,
    isGiven: isPlainMap(value),
  });
  const readPools = readEntries(entriesAt("pools", pools ?? {}), poolSchema, "pool", problems);
  const checks = new Map<string, CheckConfig>();
  for (const [name, { check }] of readPools.valid) {
    if (check === undefined || typeof check === "string") continue;
    const path = ["balancer", "pools", name, "check"];
    // Ruling of script checks: programs are named in files alone, never where the API may write.
    if (check["kind"] === "script") {
      const fix = "Write it into a file in the folder of the checks, and its name here";
      problems.push(problemAt(source, [...path, "kind"], "A script check cannot stand inside of a pool", fix));
      continue;
    }
    const read = readKind(source, path, CHECK_SCHEMAS, withDefaults(check), problems);
    if (read) checks.set(name, read);
  }
  return {
    settings: isPlainMap(value)
      ? readValue(source, ["balancer"], balancerSettingsSchema, settings, problems)
      : undefined,
    listeners: readEntries(entriesAt("listeners", listeners ?? {}), listenerSchema, "listener", problems),
    pools: readPools,
    checks,
    patch,
  };
}
