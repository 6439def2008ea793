/** Small builders for steering tests: regions, services, health and clients, with everything defaulted. */
import { hashText } from "#base/hash.ts";
import { parseIp } from "#base/ip.ts";
import type { SteerClient } from "#dns/answer/steering.ts";
import type { ClassFacts } from "#state/class-facts.ts";
import {
  createHealthTable,
  emptyTargetState,
  HEALTH_EPOCH_WORD,
  healthWordIndex,
  packLoadWord,
  packStateWord,
  type TargetState,
} from "#state/health-table.ts";
import type { FilterSpec, RegionSpec, ServiceRegion, ServiceSpec } from "#state/snapshot.ts";
import { type BoundService, bindService } from "#steer/candidate.ts";
import { unknownFacts } from "#steer/classify.ts";
import type { World } from "#steer/filter.ts";
import { mapRegionIds, mapSpecFor } from "#steer/map-spec.ts";
import { fingerprintLength, type RegionState, readFingerprint, statesFrom } from "#steer/region-state.ts";
import type { Rolls } from "#steer/rolls.ts";

export const NOW_MS = 1_800_000_000_000;

/** Three addresses of each family and their own rows in the health table. */
export function region(id: string, target: number, more: Partial<RegionSpec> = {}): RegionSpec {
  const v4 = more.v4 ?? [`192.0.2.${target + 1}`];
  const v6 = more.v6 ?? [`2001:db8::${(target + 1).toString(16)}`];
  return {
    id,
    hash: hashText(id),
    latitude: 0,
    longitude: 0,
    continent: "",
    country: "",
    capacityRps: undefined,
    balancerUrl: undefined,
    check: "http",
    upThreshold: 0.5,
    target,
    addressTargets: [...v4, ...v6].map((_, index) => target + index + 1),
    ...more,
    v4,
    v6,
  };
}

/** Places in the demo's manner. Rows 0 to 2, 3 to 5, 6 to 8. */
export const US = region("us-east", 0, { latitude: 39.04, longitude: -77.49, continent: "NA", country: "US" });
export const EU = region("eu-west", 3, { latitude: 50.1, longitude: 8.7, continent: "EU", country: "DE" });
export const AP = region("ap-south", 6, { latitude: 35.6, longitude: 139.7, continent: "AS", country: "JP" });
export const REGIONS = [US, EU, AP];

type Members = Readonly<Record<string, Partial<Pick<ServiceRegion, "weight" | "priority">>>>;

/** A service over `regions`; priorities default to the position, as in zones/services.yaml. */
export function service(
  chain: readonly FilterSpec[],
  more: Partial<Omit<ServiceSpec, "regions" | "chain">> & { members?: Members; all?: readonly RegionSpec[] } = {},
): ServiceSpec {
  const { members, all = REGIONS, ...rest } = more;
  const names = members ? Object.keys(members) : all.map(({ id }) => id);
  const regions = names.map((id, index) => ({
    region: all.findIndex((each) => each.id === id),
    weight: members?.[id]?.weight ?? 1,
    priority: members?.[id]?.priority ?? index + 1,
  }));
  const name = more.name ?? "www";
  return {
    name,
    hash: hashText(name),
    ttlMinSeconds: 15,
    ttlMaxSeconds: 30,
    fallback: undefined,
    allowEmpty: false,
    weightedBy: "auto",
    mapId: mapSpecFor({ regions, chain }, all, undefined)?.mapId,
    ...rest,
    regions,
    chain,
  };
}

export const HEALTHY: FilterSpec = { name: "healthy", onEmpty: "undo" };
export const GEO: FilterSpec = { name: "geo", onEmpty: "undo" };
export const NEAREST: FilterSpec = { name: "nearest", bias: {}, slackKm: 50 };
export const LATENCY: FilterSpec = { name: "latency", slackMs: 10 };
export const PRIORITY: FilterSpec = { name: "priority", split: [], onEmpty: "undo" };
export const SHED: FilterSpec = { name: "shed", lowPermille: 700, highPermille: 900, spread: "none", onEmpty: "undo" };
export const WEIGHTED: FilterSpec = { name: "weighted" };
export const STICKY: FilterSpec = { name: "sticky" };
export const SHUFFLE: FilterSpec = { name: "shuffle" };
export const FIRST: FilterSpec = { name: "first", count: 1 };
export const fence = (regions: readonly string[], more: Partial<FilterSpec> = {}): FilterSpec =>
  ({
    name: "geofence",
    onEmpty: "undo",
    continents: ["EU"],
    countries: [],
    asns: [],
    networks: [],
    regions,
    fence: 0,
    ...more,
  }) as FilterSpec;

/** Health by region id; what is not named is up and quiet. */
export type Health = Readonly<Record<string, Partial<TargetState>>>;

export function writeTarget(table: Uint32Array, target: number, more: Partial<TargetState>): void {
  const state = { ...emptyTargetState(), verdict: 1 as const, ...more };
  const at = healthWordIndex(target);
  Atomics.store(table, at, packStateWord(state));
  Atomics.store(table, at + 1, state.flipAtSeconds);
  Atomics.store(table, at + 2, state.rttMicros);
  Atomics.store(table, at + 3, packLoadWord(state.loadPermille, state.excessRttTenthsMs));
}
export const publish = (table: Uint32Array): number => Atomics.add(table, HEALTH_EPOCH_WORD, 1);

/** Rows of all regions and addresses are up, but for what `health` says of regions. */
export function healthTable(health: Health = {}, regions: readonly RegionSpec[] = REGIONS): Uint32Array {
  const rows = regions.flatMap(({ target, addressTargets }) => [target, ...addressTargets]);
  const table = createHealthTable(Math.max(...rows) + 1);
  for (const row of rows) writeTarget(table, row, {});
  for (const { id, target } of regions) if (health[id]) writeTarget(table, target, health[id]);
  publish(table);
  return table;
}

export const bound = (spec: ServiceSpec, regions: readonly RegionSpec[] = REGIONS): BoundService =>
  bindService(spec, regions, spec.mapId === undefined ? [] : mapRegionIds(spec, regions));

export function statesOf(of: BoundService, table: Uint32Array): RegionState[] {
  const fingerprint = new Uint32Array(fingerprintLength(of));
  readFingerprint(of, table, fingerprint, new Float64Array(of.candidates.length));
  return statesFrom(of, fingerprint);
}

/** Facts by region id, put into the order of the service's map. */
export type FactsById = Partial<Omit<ClassFacts, "match" | "distanceKm" | "preferred">> & {
  match?: Readonly<Record<string, number>>;
  km?: Readonly<Record<string, number>>;
  preferred?: readonly string[];
};
function factsFor(of: BoundService, facts: FactsById | undefined): ClassFacts {
  const ids = of.candidates.map(({ region: { id } }) => id).sort();
  if (!facts) return unknownFacts(ids.length, 1);
  const { match = {}, km = {}, preferred = [], ...rest } = facts;
  return {
    isKnown: true,
    label: "test",
    insideFence: [false],
    isNearVantage: false,
    ...rest,
    match: ids.map((id) => match[id] ?? 0),
    distanceKm: ids.map((id) => km[id] ?? -1),
    preferred: preferred.map((id) => ids.indexOf(id)),
  };
}

export function world(
  of: BoundService,
  {
    health = {},
    facts,
    measuredMs,
    regions = REGIONS,
  }: {
    health?: Health;
    facts?: FactsById;
    measuredMs?: Readonly<Record<string, number>>;
    regions?: readonly RegionSpec[];
  } = {},
): World {
  return {
    facts: factsFor(of, facts),
    states: statesOf(of, healthTable(health, regions)),
    measuredMicros: measuredMs && of.candidates.map(({ region: { id } }) => (measuredMs[id] ?? 0) * 1_000),
  };
}

export const rollsOf = (more: Partial<Rolls> = {}): Rolls => ({ main: 0, second: 0, ramp: 0, spread: 0, ...more });

/** A query with a client subnet option, or (with `ecsBits` 0) of a resolver that sent none. */
export function client(address: string, ecsBits = 24, source = "203.0.113.53"): SteerClient {
  const hasEcs = ecsBits > 0;
  const bytes = parseIp(hasEcs ? address : source)!;
  const sourceBytes = parseIp(source)!;
  return {
    address: padded(bytes),
    isIpv6: bytes.length === 16,
    hasEcs,
    ecsBits,
    source: padded(sourceBytes),
    isSourceIpv6: sourceBytes.length === 16,
  };
}
function padded(bytes: Uint8Array): Uint8Array {
  const address = new Uint8Array(16);
  address.set(bytes);
  return address;
}
