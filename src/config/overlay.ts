/**
 * What the API changed, laid over what the files say: JSON merge patches (RFC 7396) on maps of names.
 *
 * Owns:    how a pool's list of backends is patched: it counts as a map keyed by `host:port` (SRV: by its name).
 * @module
 */
import { endpointText } from "#base/ip.ts";
import { isPlainMap } from "#config/entries.ts";
import type { Path, YamlSource } from "#config/yaml.ts";
import { parseEndpoint } from "#pool/config.ts";

export type Overlay = {
  readonly services?: Readonly<Record<string, unknown>>;
  readonly regions?: Readonly<Record<string, unknown>>;
  readonly pools?: Readonly<Record<string, unknown>>;
};
export const OVERLAY_SECTIONS = ["services", "regions", "pools"] as const;
/** Stands for a file in problems with the overlay. */
export const OVERLAY_FILE = "(api)";

const overlayPosition = (section: keyof Overlay) => ({ file: `${OVERLAY_FILE} ${section}`, line: 1, column: 1 });

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

/** The source with `patch` laid over it, whose entries stand at the API's place. */
export function overlaid(
  source: YamlSource,
  section: "services" | "regions",
  patch: Readonly<Record<string, unknown>> | undefined,
): YamlSource {
  if (!patch) return source;
  return {
    file: source.file,
    value: mergePatch(source.value ?? {}, patch),
    at: (path, want) => (Object.hasOwn(patch, String(path[0])) ? overlayPosition(section) : source.at(path, want)),
  };
}

/** The key of a backend in patches: canonical where it can be read, so that `[2001:DB8::1]:80` finds its entry. */
export function backendKey(text: string): string {
  const endpoint = parseEndpoint(text);
  return endpoint ? endpointText(endpoint.host, endpoint.port) : text.toLowerCase();
}
export function backendEntryKey(entry: unknown): string | undefined {
  const text = isPlainMap(entry) ? (entry["address"] ?? entry["srv"]) : entry;
  return typeof text === "string" ? backendKey(text) : undefined;
}
const entryOf = (key: string, settings: Record<string, unknown>): Record<string, unknown> =>
  key.startsWith("_") ? { srv: key, ...settings } : { address: key, ...settings };

type PatchedPool = {
  readonly value: unknown;
  /** By position in the patched list: where the entry stood in the file; undefined: the API added it. */
  readonly origins: readonly (number | undefined)[];
};

/** @param patch of `backends`, by key; null removes */
function patchBackends(list: unknown, patch: Readonly<Record<string, unknown>>): PatchedPool {
  const patches = new Map(Object.entries(patch).map(([key, value]) => [backendKey(key), value]));
  const value: unknown[] = [];
  const origins: (number | undefined)[] = [];
  for (const [index, entry] of (Array.isArray(list) ? list : []).entries()) {
    const key = backendEntryKey(entry);
    const change = key === undefined ? undefined : patches.get(key);
    if (key !== undefined) patches.delete(key);
    if (change === null) continue;
    value.push(
      change === undefined ? entry : mergePatch(isPlainMap(entry) ? entry : entryOf(String(entry), {}), change),
    );
    origins.push(index);
  }
  for (const [key, added] of patches) {
    if (added === null) continue;
    value.push(isPlainMap(added) ? mergePatch(entryOf(key, {}), added) : added);
    origins.push(undefined);
  }
  return { value, origins };
}

export type PoolsPatch = NonNullable<Overlay["pools"]>;

/** The backends of a pool that the overlay says something of, by `backendKey()` of how they are configured. */
export function patchedBackends(patch: PoolsPatch, pool: string): { has(key: string): boolean } {
  const change = Object.hasOwn(patch, pool) ? patch[pool] : undefined;
  const backends = isPlainMap(change) ? change["backends"] : undefined;
  if (Array.isArray(backends)) return { has: () => true };
  return new Set(isPlainMap(backends) ? Object.keys(backends).map(backendKey) : []);
}

/**
 * @param pools what the file says
 * @returns the pools with `patch` laid over them, and for each pool with patched backends where these stood
 */
export function patchPools(pools: unknown, patch: PoolsPatch): { pools: unknown; moved: Map<string, PatchedPool> } {
  const merged = new Map<string, unknown>(isPlainMap(pools) ? Object.entries(pools) : []);
  const moved = new Map<string, PatchedPool>();
  for (const [name, change] of Object.entries(patch)) {
    const before = merged.get(name);
    if (change === null) {
      merged.delete(name);
    } else if (isPlainMap(change) && isPlainMap(change["backends"])) {
      const { backends, ...rest } = change;
      const list = patchBackends(isPlainMap(before) ? before["backends"] : [], backends as Record<string, unknown>);
      merged.set(name, { ...(mergePatch(before, rest) as object), backends: list.value });
      moved.set(name, list);
    } else merged.set(name, mergePatch(before, change));
  }
  return { pools: Object.fromEntries(merged), moved };
}

/** rhumb.yaml with its `balancer.pools` patched. */
export function overlaidRoot(source: YamlSource, patch: PoolsPatch | undefined): YamlSource {
  const root = source.value;
  if (!patch || !isPlainMap(root) || !isPlainMap(root["balancer"])) return source;
  const file = isPlainMap(root["balancer"]["pools"]) ? root["balancer"]["pools"] : {};
  const { pools, moved } = patchPools(root["balancer"]["pools"], patch);
  const isApi = (pool: string, path: Path): boolean => {
    const change = Object.hasOwn(patch, pool) ? patch[pool] : undefined;
    if (change === undefined) return false;
    if (!Object.hasOwn(file, pool) || !isPlainMap(change)) return true;
    const key = path[3];
    if (key === undefined || !Object.hasOwn(change, String(key))) return false;
    const list = moved.get(pool);
    if (key !== "backends" || !list || path[4] === undefined) return true;
    const entry = backendEntryKey((list.value as unknown[])[Number(path[4])]);
    if (list.origins[Number(path[4])] === undefined) return true;
    return entry !== undefined && patchedBackends(patch, pool).has(entry);
  };
  return {
    file: source.file,
    value: { ...root, balancer: { ...root["balancer"], pools } },
    at(path, want) {
      if (path[0] !== "balancer" || path[1] !== "pools" || path[2] === undefined) return source.at(path, want);
      const pool = String(path[2]);
      if (isApi(pool, path)) return overlayPosition("pools");
      const origin = path[3] === "backends" ? moved.get(pool)?.origins[Number(path[4])] : undefined;
      return source.at(origin === undefined ? path : [...path.slice(0, 4), origin, ...path.slice(5)], want);
    },
  };
}

/** What the files alone say of a pool. @param root value of rhumb.yaml; @param key as `backendKey()` makes it */
export function isInFile(root: unknown, pool: string, key?: string): boolean {
  const balancer = isPlainMap(root) ? root["balancer"] : undefined;
  const pools = isPlainMap(balancer) ? balancer["pools"] : undefined;
  const entry = isPlainMap(pools) ? pools[pool] : undefined;
  if (key === undefined || !isPlainMap(entry)) return entry !== undefined;
  return Array.isArray(entry["backends"]) && entry["backends"].some((one) => backendEntryKey(one) === key);
}

/** The overlay with one more change of a pool; `null` for `settings` takes back what the overlay said of it. */
export function withPool(stored: Overlay, pool: string, settings: Readonly<Record<string, unknown>> | null): Overlay {
  const { [pool]: before, ...others } = stored.pools ?? {};
  const pools = settings === null ? others : { ...others, [pool]: mergePool(before, settings) };
  const { pools: _, ...rest } = stored;
  return Object.keys(pools).length === 0 ? rest : { ...rest, pools };
}

function mergePool(before: unknown, settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged = mergeKeepingNulls(before, settings);
  const list = isPlainMap(before) ? before["backends"] : undefined;
  const patch = settings["backends"];
  // A list that stands for all backends is patched itself: it hides those that the file has.
  if (Array.isArray(list) && isPlainMap(patch)) merged["backends"] = patchBackends(list, patch).value;
  return merged;
}

/** The overlay with one more change of a backend: settings, null to remove it, undefined to say nothing of it any more. */
export function withBackend(
  stored: Overlay,
  pool: string,
  key: string,
  change: Readonly<Record<string, unknown>> | null | undefined,
): Overlay {
  const before = stored.pools?.[pool];
  const { backends, ...settings } = isPlainMap(before) ? before : {};
  if (Array.isArray(backends)) return withPool(stored, pool, { backends: { [key]: change ?? null } });
  const others: Record<string, unknown> = {};
  let old: unknown;
  for (const [name, said] of Object.entries(isPlainMap(backends) ? backends : {}))
    if (backendKey(name) === key) old = said;
    else others[name] = said;
  const next = change === null || change === undefined ? change : mergeKeepingNulls(old, change);
  if (next !== undefined) others[key] = next;
  const patch = Object.keys(others).length === 0 ? settings : { ...settings, backends: others };
  const cleared = withPool(stored, pool, null);
  return Object.keys(patch).length === 0 ? cleared : { ...cleared, pools: { ...cleared.pools, [pool]: patch } };
}

/** One patch after the other as one patch: `null` stays, as it removes what the file says. */
function mergeKeepingNulls(first: unknown, second: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged: Record<string, unknown> = isPlainMap(first) ? { ...first } : {};
  for (const [key, value] of Object.entries(second))
    merged[key] = isPlainMap(value) ? mergeKeepingNulls(merged[key], value) : value;
  return merged;
}
