/**
 * What differs between two balancers, in words: a backend added, its weight, a pool's algorithm.
 * @module
 */
import { changedKeys, diffNamed, equal } from "#config/diff-named.ts";
import type { BackendSpec, BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { RuleSpec } from "#state/http.ts";

/** What is told of a backend by a sentence of its own, or is no difference to anybody. */
const BACKEND_WORDS = ["weight", "isEnabled", "origin", "id", "target"] as const;
/** Likewise of a pool. */
const POOL_WORDS = ["algorithm", "backends"] as const;

const without = (value: object, keys: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));

function diffBackend(what: string, before: BackendSpec, after: BackendSpec): string[] {
  const lines: string[] = [];
  if (before.weight !== after.weight) lines.push(`${what}: weight ${before.weight} to ${after.weight}`);
  if (before.isEnabled !== after.isEnabled)
    lines.push(`${what}: ${after.isEnabled ? "no longer in maintenance" : "in maintenance"}`);
  const [old, now] = [without(before, BACKEND_WORDS), without(after, BACKEND_WORDS)];
  if (!equal(old, now)) lines.push(`${what} changed: ${changedKeys(old, now)}`);
  return lines;
}

function diffPool(before: PoolSpec, after: PoolSpec): string[] {
  const pool = `pool ${after.name}`;
  const lines: string[] = [];
  if (before.algorithm !== after.algorithm) lines.push(`${pool}: algorithm ${before.algorithm} to ${after.algorithm}`);
  const [old, now] = [without(before, POOL_WORDS), without(after, POOL_WORDS)];
  if (!equal(old, now)) lines.push(`${pool} changed: ${changedKeys(old, now)}`);
  const backends = new Map(before.backends.map((backend) => [backend.key, backend]));
  for (const backend of after.backends) {
    const known = backends.get(backend.key);
    const what = `${pool}: backend ${backend.key}`;
    if (!known) lines.push(`${what} added`);
    else lines.push(...diffBackend(what, known, backend));
  }
  const kept = new Set(after.backends.map(({ key }) => key));
  for (const key of backends.keys()) if (!kept.has(key)) lines.push(`${pool}: backend ${key} removed`);
  return lines;
}

/** Rules with their pools by name, without secrets: only that one changed is told. */
function ruleView(rule: RuleSpec, pools: readonly PoolSpec[]): unknown {
  const nameOf = (index: number): string => pools[index]!.name;
  const { action, mirror, guards } = rule;
  const { forwardAuth } = guards;
  return {
    ...rule,
    action:
      action.kind === "pool"
        ? { ...action, pool: nameOf(action.pool) }
        : action.kind === "split"
          ? { ...action, parts: action.parts.map(({ pool, weight }) => ({ pool: nameOf(pool), weight })) }
          : action,
    mirror: mirror && { ...mirror, pool: nameOf(mirror.pool) },
    guards: { ...guards, forwardAuth: forwardAuth && { ...forwardAuth, pool: nameOf(forwardAuth.pool) } },
  };
}

/** Listeners with their pools by name: numbers move when another pool is added. */
const listenerView = ({ pools, listeners }: BalancerSnapshot): [string, unknown][] =>
  listeners.map((listener: ListenerSpec) => [
    listener.name,
    {
      ...listener,
      pool: listener.pool === undefined ? undefined : pools[listener.pool]!.name,
      sni: listener.sni.map((route) => ({ ...route, pool: pools[route.pool]!.name })),
      http: listener.http && { ...listener.http, rules: listener.http.rules.map((rule) => ruleView(rule, pools)) },
    },
  ]);

const LIVE_KEYS = ["region", "zone", "drainMs", "redis"] as const;

/** @returns lines such as `pool web: backend 10.0.0.1:80: weight 1 to 5`; nothing where either is undefined */
export function diffBalancer(before: BalancerSnapshot | undefined, after: BalancerSnapshot | undefined): string[] {
  if (!before || !after) return [];
  const lines = diffNamed("listener", new Map(listenerView(before)), new Map(listenerView(after)));
  const pools = new Map(before.pools.map((pool) => [pool.name, pool]));
  for (const pool of after.pools) {
    const known = pools.get(pool.name);
    if (known) lines.push(...diffPool(known, pool));
    else lines.push(`pool ${pool.name} added`);
  }
  const kept = new Set(after.pools.map(({ name }) => name));
  for (const name of pools.keys()) if (!kept.has(name)) lines.push(`pool ${name} removed`);
  for (const key of LIVE_KEYS) if (!equal(before[key], after[key])) lines.push(`balancer.${key} changed`);
  const { table, ...nft } = after.nft;
  if (!equal(without(before.nft, ["table"]), nft)) lines.push("balancer.nft changed");
  for (const [what, old, now] of [
    ["workers", before.workers, after.workers],
    ["engine", before.engine, after.engine],
    ["nft.table", before.nft.table, table],
  ] as const)
    if (old !== now) lines.push(`balancer.${what} changed: takes effect after a restart`);
  return lines;
}
