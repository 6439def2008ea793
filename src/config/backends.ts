/**
 * The backends of a pool as configured → one draft for each address: host names and SRV records stand for several.
 *
 * Never:   asks the DNS: what it says comes in as `names`.
 * @module
 */
import { endpointText } from "#base/ip.ts";
import type { ResolvedName } from "#config/files.ts";
import { type PoolsPatch, patchedBackends } from "#config/overlay.ts";
import type { BackendConfig, Endpoint, PoolConfig } from "#pool/config.ts";
import type { BackendSpec } from "#state/balancer.ts";
import type { UpstreamRow } from "#state/upstreams.ts";

export type BackendDraft = {
  /** Position in the configured list. */
  readonly index: number;
  /** `10.0.0.1:80`. */
  readonly key: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  readonly config: BackendSettings;
  readonly origin: BackendSpec["origin"];
  /** A row of the table says that it drains. */
  readonly isDraining?: true;
};
type BackendSettings = Pick<BackendConfig, "maxConnections" | "zone" | "enabled" | "mac" | "healthPath">;
export type ExpandedPool = {
  readonly drafts: readonly BackendDraft[];
  /** Entries that repeat an address that was written out before. */
  readonly repeated: readonly { readonly index: number; readonly key: string }[];
  /** Entries that the DNS has no answer for yet. */
  readonly unresolved: readonly { readonly index: number; readonly name: string }[];
};

const PLAIN: Omit<BackendConfig, "address" | "srv"> = {
  weight: 1,
  backup: false,
  priority: undefined,
  maxConnections: 0,
  zone: undefined,
  enabled: true,
  mac: undefined,
  healthPath: undefined,
};
const isEndpoint = (entry: Endpoint | BackendConfig): entry is Endpoint => "host" in entry;
const settingsOf = (entry: Endpoint | BackendConfig): Omit<BackendConfig, "address" | "srv"> =>
  isEndpoint(entry) ? PLAIN : entry;
const endpointOf = (entry: Endpoint | BackendConfig): Endpoint | undefined =>
  isEndpoint(entry) ? entry : entry.address;

/** Names that have to be asked for: host names and SRV names, each once. */
export function namesOfPools(pools: Iterable<PoolConfig>): string[] {
  const names = new Set<string>();
  for (const { backends } of pools) {
    for (const entry of backends) {
      const endpoint = endpointOf(entry);
      if (endpoint?.isName) names.add(endpoint.host);
      if (!isEndpoint(entry) && entry.srv !== undefined) names.add(entry.srv);
    }
  }
  return [...names];
}

/** The largest weight that SRV records may bring: tables of hash algorithms grow with weights. */
const MAX_SRV_WEIGHT = 1_000;
/**
 * SRV weights (RFC 2782) as ours: 0 is "rarely", not "never", and the largest is scaled down to what we allow.
 * Their priorities become tiers from 0 on, in order.
 */
function scaleRecords(records: readonly ResolvedName[]) {
  const heaviest = Math.max(MAX_SRV_WEIGHT, ...records.map(({ weight }) => weight ?? 1));
  const tiers = [...new Set(records.map(({ priority }) => priority ?? 0))].sort((a, b) => a - b);
  return records.map(({ address, port, weight, priority }) => ({
    address,
    port: port ?? 0,
    weight: Math.max(1, Math.round(((weight ?? 1) * MAX_SRV_WEIGHT) / heaviest)),
    tier: tiers.indexOf(priority ?? 0),
  }));
}

export function expandBackends(
  pool: string,
  backends: PoolConfig["backends"],
  names: ReadonlyMap<string, readonly ResolvedName[]> | undefined,
  patch: PoolsPatch,
  rows: readonly UpstreamRow[] = [],
): ExpandedPool {
  const repeated: { index: number; key: string }[] = [];
  const unresolved: { index: number; name: string }[] = [];
  const drafts: BackendDraft[] = [];
  const written = new Set<string>();
  for (const [index, entry] of backends.entries()) {
    const endpoint = endpointOf(entry);
    if (!endpoint || endpoint.isName) continue;
    const key = endpointText(endpoint.host, endpoint.port);
    if (written.has(key)) repeated.push({ index, key });
    written.add(key);
  }
  const isRepeated = new Set(repeated.map(({ index }) => index));
  const patched = patchedBackends(patch, pool);
  // What is written out is meant as it stands; what the DNS adds to it comes once.
  const taken = new Set(written);
  for (const [index, entry] of backends.entries()) {
    const endpoint = endpointOf(entry);
    const config = settingsOf(entry);
    const name = endpoint?.host ?? (isEndpoint(entry) ? "" : (entry.srv ?? ""));
    const configured = endpoint ? endpointText(endpoint.host, endpoint.port) : name;
    const origin = patched.has(configured) ? "api" : "file";
    const tier = config.priority ?? (config.backup ? 1 : 0);
    const add = (address: string, port: number, weight: number, priority: number): void => {
      const key = endpointText(address, port);
      drafts.push({ index, key, host: name, address, port, weight, priority, config, origin });
    };
    if (endpoint && !endpoint.isName) {
      if (!isRepeated.has(index)) add(endpoint.host, endpoint.port, config.weight, tier);
      continue;
    }
    const answer = names?.get(name) ?? [];
    if (answer.length === 0) unresolved.push({ index, name });
    const places = endpoint
      ? answer.map(({ address }) => ({ address, port: endpoint.port, weight: config.weight, tier: 0 }))
      : scaleRecords(answer);
    for (const place of places) {
      const key = endpointText(place.address, place.port);
      if (taken.has(key)) continue;
      taken.add(key);
      // The weight 0 of the entry takes its records out, whatever weight they bring.
      add(place.address, place.port, config.weight === 0 ? 0 : place.weight, tier + place.tier);
    }
  }
  return { drafts: withRows(drafts, rows, patched), repeated, unresolved };
}

/**
 * Rows of the table lie over the file and below the API: of an address that both name, the row says weight, tier and
 * drain, and the file the rest; of one that the API has said something of, the row says nothing.
 */
function withRows(
  drafts: readonly BackendDraft[],
  rows: readonly UpstreamRow[],
  patched: { has(key: string): boolean },
): readonly BackendDraft[] {
  if (rows.length === 0) return drafts;
  const left = new Map(rows.map((row) => [endpointText(row.address, row.port), row]));
  for (const key of left.keys()) if (patched.has(key)) left.delete(key);
  const all = drafts.map((draft) => {
    const row = draft.origin === "api" ? undefined : left.get(draft.key);
    left.delete(draft.key);
    return row ? { ...draft, ...sayingOf(row) } : draft;
  });
  for (const [key, row] of left) {
    const { address, port } = row;
    all.push({ index: -1, key, host: address, address, port, config: PLAIN, ...sayingOf(row) });
  }
  return all;
}
const sayingOf = ({ weight, isBackup, isDraining }: UpstreamRow) => ({
  weight,
  priority: isBackup ? 1 : 0,
  origin: "table" as const,
  ...(isDraining ? { isDraining } : {}),
});
