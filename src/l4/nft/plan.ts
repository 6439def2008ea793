/**
 * From configuration and states to what the kernel is to do: which backends get new flows, and how these are spread.
 *
 * Owns:    the kernel's counterpart of each algorithm. Pure; who may be picked says `pool/eligible.ts`, as for the relay.
 *          Order in the configuration does not matter: everything is sorted, so that nodes write the same text.
 * Units:   weights as in the configuration; those in slow start in tenths.
 * @module
 */
import { buildMaglevTable } from "#balance/maglev.ts";
import { createSmooth } from "#balance/smooth.ts";
import { groupOf } from "#balance/tiers.ts";
import { fillEffective, stateOf } from "#pool/eligible.ts";
import { BACKEND_STATE, type BackendState } from "#state/backend-table.ts";
import type { BackendSpec, BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { FlowsOf } from "./conntrack.ts";
import { isWildcard } from "./render-parts.ts";
import type { Family, KernelGroup, KernelListener, RulesetInput, Spread } from "./ruleset.ts";

/** Flows that conntrack holds for one backend behind one listener, and whether they lead nowhere by now. */
export type PlannedFlows = { readonly row: number; readonly flows: FlowsOf; readonly isGone: boolean };

export type KernelPlan = Pick<RulesetInput, "listeners" | "groups"> & {
  readonly flows: ReadonlyMap<string, PlannedFlows>;
  /** Addresses whose MAC address is not configured and must be asked for. */
  readonly askMac: readonly string[];
  /** Sentences: what of the configuration the kernel cannot do. */
  readonly problems: readonly string[];
};

/** The last table of slots of each group: making one takes the main thread tens of milliseconds. */
export type SlotCache = Map<string, { readonly signature: string; readonly slots: Uint16Array | Uint32Array }>;

export type PlanInput = {
  readonly snapshot: BalancerSnapshot;
  /** The backend table. */
  readonly table: Int32Array;
  readonly macOf: (address: string) => string | undefined;
  readonly cache?: SlotCache;
};

export function planKernel({ snapshot, table, macOf, cache = new Map() }: PlanInput): KernelPlan {
  const listeners: KernelListener[] = [];
  const groups = new Map<string, KernelGroup>();
  const flows = new Map<string, PlannedFlows>();
  const askMac = new Set<string>();
  const problems = new Set<string>();
  const answersOf = new Map<string, string>();

  function groupFor(pool: PoolSpec, family: Family): KernelGroup {
    const name = `${pool.name}.v${family}`;
    const known = groups.get(name);
    if (known) return known;
    const backends = pool.backends
      .filter(({ address }) => familyOf(address) === family)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const macs = backends.map(({ mac, address }) => mac ?? macOf(address));
    if (pool.mode !== "nft") for (const { mac, address } of backends) if (mac === undefined) askMac.add(address);
    const isReachable = (index: number): boolean => pool.mode === "nft" || macs[index] !== undefined;
    const effective = new Float64Array(backends.length);
    fillEffective({ ...pool, backends }, table, effective);
    const serving = servingOf({ ...pool, backends }, effective, snapshot.zone, isReachable);
    const group: KernelGroup = {
      name,
      family,
      mode: pool.mode as KernelGroup["mode"],
      backends: backends.map(({ id, address, port }, index) => ({
        chain: `to.${pool.name}.${id.replace(/^backend-/, "")}`,
        address,
        port,
        mac: macs[index],
      })),
      spread: spreadOf({ ...pool, backends }, family, serving, effective, cache),
    };
    groups.set(name, group);
    return group;
  }

  for (const spec of snapshot.listeners) {
    const pool = spec.pool === undefined ? undefined : snapshot.pools[spec.pool];
    if (!pool || pool.mode === "proxy") continue;
    const found = kernelListener(spec, pool, snapshot);
    if (typeof found === "string") {
      problems.add(found);
      continue;
    }
    const group = groupFor(pool, found.family);
    if (group.backends.length === 0)
      problems.add(
        `Pool ${pool.name} has no IPv${found.family} backend for listener ${spec.name}: its clients are refused`,
      );
    const clash = pool.mode === "nft-stateless" ? clashOf(found, group, answersOf) : undefined;
    if (clash !== undefined) {
      problems.add(
        `Listeners ${clash} and ${found.name} lead to the same stateless backends: answers can seem to come from one of them only, and ${found.name} is left out`,
      );
      continue;
    }
    if (pool.mode === "nft-dsr" && group.backends.some(({ port }) => port !== spec.listen.port))
      problems.add(
        `Backends of pool ${pool.name} must listen on port ${spec.listen.port}: direct server return leaves the port as it is`,
      );
    listeners.push({ ...found, group: group.name });
    if (pool.mode !== "nft") continue;
    for (const backend of pool.backends.filter(({ address }) => familyOf(address) === found.family))
      flows.set(`${found.name} ${backend.key}`, plannedFlows(found, backend, group, stateOf(table, backend)));
  }
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  return {
    listeners: listeners.sort(byName),
    groups: [...groups.values()].sort(byName),
    flows,
    askMac: [...askMac],
    problems: [...problems],
  };
}

const familyOf = (address: string): Family => (address.includes(":") ? 6 : 4);

function kernelListener(
  { name, listen, protocol, access, limits, proxyProtocol }: ListenerSpec,
  pool: PoolSpec,
  { nft }: BalancerSnapshot,
): Omit<KernelListener, "group"> | string {
  if (protocol !== "tcp" && protocol !== "udp")
    return `Listener ${name} is left out: the kernel cannot do ${protocol}; use \`mode: proxy\` in pool ${pool.name}`;
  if (proxyProtocol || pool.proxyProtocol)
    return `Listener ${name} is left out: the kernel forwards packets and can neither read nor write a PROXY header`;
  const listener = { name, family: familyOf(listen.address), ...listen, protocol, access, limits };
  if (pool.mode === "nft") return listener;
  if (nft.device === undefined)
    return `Listener ${name} is left out: \`mode: ${pool.mode}\` needs \`balancer.nft.device\``;
  if (nft.device === "lo")
    return `Listener ${name} is left out: what is forwarded on the device lo comes back for ever`;
  if (isWildcard(listener))
    return `Listener ${name} is left out: \`mode: ${pool.mode}\` needs an address, not ${listen.address}`;
  return listener;
}

/** The listener that answers of one of these backends belong to already. */
function clashOf(
  listener: Omit<KernelListener, "group">,
  { backends }: KernelGroup,
  answersOf: Map<string, string>,
): string | undefined {
  const keys = backends.map(({ address, port }) => `${listener.protocol} ${address} ${port}`);
  const taken = keys.map((key) => answersOf.get(key)).find((name) => name !== undefined);
  if (taken === undefined) for (const key of keys) answersOf.set(key, listener.name);
  return taken;
}

/** Their flows lead nowhere. Those of a backend in maintenance or draining have time to finish: `expired` says when it is over. */
const GONE: readonly BackendState[] = [BACKEND_STATE.down, BACKEND_STATE.ejected];
function plannedFlows(
  listener: Omit<KernelListener, "group">,
  backend: BackendSpec,
  { backends, spread }: KernelGroup,
  state: BackendState,
): PlannedFlows {
  const index = backends.findIndex(({ address, port }) => address === backend.address && port === backend.port);
  return {
    row: backend.target,
    isGone: GONE.includes(state) && !serves(spread, index),
    flows: {
      protocol: listener.protocol,
      family: listener.family,
      vip: isWildcard(listener) ? undefined : listener.address,
      vipPort: listener.port,
      backend: backend.address,
      backendPort: backend.port,
    },
  };
}

/** Whether a backend gets new flows. */
export function serves(spread: Spread, index: number): boolean {
  switch (spread.kind) {
    case "refuse":
      return false;
    case "single":
      return spread.backend === index;
    case "turns":
      return spread.order.includes(index);
    case "random":
      return spread.weights[index]! > 0;
    case "hash":
      return spread.slots.includes(index);
    default:
      return spread satisfies never;
  }
}

// ── how flows are spread ─────────────────────────────────────────────────────────────────────────────────────────

/** Indexes of the backends that get new flows: of the best tier and zone in which somebody may be picked. */
function servingOf(
  pool: PoolSpec,
  effective: Float64Array,
  zone: string | undefined,
  isReachable: (index: number) => boolean,
): readonly number[] {
  const available = [...effective.keys()].filter((index) => effective[index]! > 0 && isReachable(index));
  const group = ({ priority, zone: of }: BackendSpec): number =>
    groupOf(priority, pool.prefersLocalZone && zone !== undefined && of === zone);
  const best = Math.min(...available.map((index) => group(pool.backends[index]!)));
  return available.filter((index) => group(pool.backends[index]!) === best);
}

function spreadOf(
  pool: PoolSpec,
  family: Family,
  serving: readonly number[],
  effective: Float64Array,
  cache: SlotCache,
): Spread {
  if (serving.length === 0) return { kind: "refuse" };
  if (serving.length === 1 || pool.algorithm === "first") return { kind: "single", backend: firstOf(serving, pool) };
  const isByClient = pool.sticky !== undefined || HASHES.has(pool.algorithm);
  if (isByClient || pool.mode !== "nft") {
    const slots = cachedSlots(`${pool.name}.v${family}`, pool, serving, cache);
    return isByClient
      ? { kind: "hash", slots, octets: hashOctets(pool, family), withPort: false }
      : { kind: "hash", slots, octets: family === 4 ? 4 : 16, withPort: true };
  }
  const weights = wholeWeights(pool, effective, serving);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const isInTurn = pool.algorithm === "round_robin" || pool.algorithm === "weighted_round_robin";
  return isInTurn && total <= MAX_TURNS ? { kind: "turns", order: smoothOrder(weights) } : { kind: "random", weights };
}

const HASHES: ReadonlySet<string> = new Set(["ip_hash", "ring_hash", "maglev", "rendezvous"]);
/** These know no weights, except 0. */
const UNWEIGHTED: ReadonlySet<string> = new Set(["round_robin", "random"]);
/** Longer cycles than this are as good as random, and long to write. */
const MAX_TURNS = 1_024;

/** Backends stand sorted by key here; the first by configuration is the one with the lowest row. */
const firstOf = (serving: readonly number[], { backends }: PoolSpec): number =>
  serving.reduce((first, index) => (backends[index]!.target < backends[first]!.target ? index : first));

/** Slow start moves a weight a little every second; in tenths the ruleset changes ten times at most. */
const RAMP_STEPS = 10;

/** Weights as whole numbers without a common divisor; 0: not serving. */
function wholeWeights(pool: PoolSpec, effective: Float64Array, serving: readonly number[]): number[] {
  const weights = new Array<number>(pool.backends.length).fill(0);
  for (const index of serving) {
    const { weight } = pool.backends[index]!;
    const steps = Math.max(1, Math.round((effective[index]! / weight) * RAMP_STEPS));
    weights[index] = (UNWEIGHTED.has(pool.algorithm) ? 1 : weight) * steps;
  }
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  return weights.map((weight) => weight / divisor);
}
const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

function smoothOrder(weights: readonly number[]): number[] {
  const smooth = createSmooth({ rng: () => 0, balanceFactorPercent: 0 });
  smooth.update({
    size: weights.length,
    keys: weights.map((_, index) => `${index}`),
    weights: Float64Array.from(weights),
    effective: Float64Array.from(weights),
    loads: new Int32Array(weights.length),
    loadAt: Uint32Array.from(weights.keys()),
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: total }, () => smooth.pick(0, 0, []));
}

/**
 * By configured weights, of all backends; slots of those that do not serve now are dealt out among those that do. So only
 * flows of a backend that goes move, and only they come back. (Maglev built from those that serve would move a hundredth
 * of the others, and in stateless modes these would break.)
 */
function slotsOf({ backends }: PoolSpec, serving: readonly number[]): Uint16Array | Uint32Array {
  const keys = backends.map(({ key }) => key);
  const best = Math.min(...serving.map((index) => backends[index]!.priority));
  const isServing = new Set(serving);
  const whole = buildMaglevTable(
    keys,
    backends.map(({ weight, priority }) => (priority === best ? weight : 0)),
  );
  if (serving.length === backends.length) return whole;
  const left = buildMaglevTable(
    keys,
    backends.map(({ weight }, index) => (isServing.has(index) ? weight : 0)),
  );
  return whole.map((backend, slot) => (isServing.has(backend) ? backend : left[slot]!));
}

function cachedSlots(
  group: string,
  pool: PoolSpec,
  serving: readonly number[],
  cache: SlotCache,
): Uint16Array | Uint32Array {
  const signature = JSON.stringify([
    pool.backends.map(({ key, weight, priority }) => [key, weight, priority]),
    serving,
  ]);
  const known = cache.get(group);
  if (known?.signature === signature) return known.slots;
  const slots = slotsOf(pool, serving);
  cache.set(group, { signature, slots });
  return slots;
}

/** nftables hashes whole octets: a prefix of 20 bits counts as 16. */
const hashOctets = ({ hashBits }: PoolSpec, family: Family): number =>
  Math.max(1, Math.floor((family === 4 ? hashBits.v4 : hashBits.v6) / 8));
