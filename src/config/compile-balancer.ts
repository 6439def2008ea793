/**
 * The `balancer:` section → `BalancerSnapshot`, and the targets and checks of its backends.
 * @module
 */
import { resolve } from "node:path";
import { type BackendDraft, expandBackends, namesOfPools } from "#config/backends.ts";
import { compileRedis } from "#config/compile-cluster.ts";
import { compileHttp } from "#config/compile-http.ts";
import {
  backendIds,
  backendTarget,
  compileBackend,
  compileBackendCheck,
  compileDrain,
  compilePool,
  compileTarget,
  type PoolCheck,
} from "#config/compile-pool.ts";
import { compileTls } from "#config/compile-tls.ts";
import type { ConfigFiles } from "#config/files.ts";
import { poolsOfRules } from "#config/http-parts.ts";
import type { ParsedConfig } from "#config/parse.ts";
import { type BalancerConfig, DEFAULT_CHECK } from "#config/parse-balancer.ts";
import type { Report } from "#config/report.ts";
import type { TargetDraft } from "#config/targets.ts";
import type { ListenerConfig } from "#l4/config.ts";
import type { BalancerSnapshot, ListenerSpec, PoolSpec, SniRoute } from "#state/balancer.ts";
import type { CheckSpec, HealthSnapshot, OverrideSpec, TargetSpec } from "#state/snapshot.ts";

/** More workers than this bring nothing on the machines that we measured. */
const MAX_AUTO_WORKERS = 8;

export type CompiledBalancer = {
  readonly snapshot: BalancerSnapshot | undefined;
  /** `fileOverrides`: of backends that the table of `balancer.source` drains. */
  readonly health: Pick<HealthSnapshot, "targets" | "checks" | "fileOverrides">;
  /** Host names and SRV names that backends are known by. */
  readonly names: readonly string[];
};
const NOTHING: CompiledBalancer = {
  snapshot: undefined,
  health: { targets: [], checks: [], fileOverrides: [] },
  names: [],
};

/** The listeners that lead to a pool. */
export const listenersOf = (balancer: BalancerConfig, pool: string): [string, ListenerConfig][] =>
  [...balancer.listeners.valid].filter(([, listener]) => poolsOf(listener).includes(pool));
/** The pools that a listener leads to. */
const poolsOf = (listener: ListenerConfig): string[] => [
  ...(listener.pool === undefined ? [] : [listener.pool]),
  ...(Array.isArray(listener.sni) ? listener.sni.map((route) => route.pool) : Object.values(listener.sni)),
  ...poolsOfRules(listener).map(({ value }) => value),
];

/** A pool that is reached over UDP alone has nothing that accepts TCP connections. */
export function isUdpAlone(balancer: BalancerConfig, pool: string): boolean {
  const listeners = listenersOf(balancer, pool);
  return listeners.length > 0 && listeners.every(([, { protocol }]) => protocol === "udp");
}

function checkOfPool(parsed: ParsedConfig, balancer: BalancerConfig, pool: string): PoolCheck | undefined {
  const check = balancer.pools.valid.get(pool)?.check;
  const own = `pool/${pool}`;
  if (check === "none") return undefined;
  if (check === undefined) return isUdpAlone(balancer, pool) ? undefined : { name: own, value: DEFAULT_CHECK };
  const value = typeof check === "string" ? parsed.checks.get(check)?.value : balancer.checks.get(pool);
  return value && { name: typeof check === "string" ? check : own, value };
}

function compileSni({ sni }: ListenerConfig, poolIndex: (name: string) => number): SniRoute[] {
  if (!Array.isArray(sni))
    return Object.entries(sni).map(([name, pool]) => ({ names: [name], alpn: [], pool: poolIndex(pool) }));
  return sni.map(({ names, alpn, pool }) => ({
    names: Array.isArray(names) ? names : [names],
    alpn,
    pool: poolIndex(pool),
  }));
}

function compileListener(
  name: string,
  listener: ListenerConfig,
  files: ConfigFiles,
  poolIndex: (name: string) => number,
): ListenerSpec {
  const { limits, timeouts, udp, proxyProtocol } = listener;
  return {
    name,
    listen: listener.listen,
    protocol: listener.protocol,
    pool: listener.pool === undefined ? undefined : poolIndex(listener.pool),
    sni: compileSni(listener, poolIndex),
    certificates: listener.certificates.map(({ cert, key }) => ({
      certFile: resolve(files.folder, cert),
      keyFile: resolve(files.folder, key.replace(/^file:/, "")),
    })),
    alpn: listener.alpn,
    proxyProtocol: proxyProtocol && { trusted: proxyProtocol.trusted, timeoutMs: proxyProtocol.timeout },
    access: listener.access,
    limits: {
      maxConnections: limits.maxConnections,
      acceptPerSecond: limits.rate,
      clientConnections: limits.client.maxConnections,
      clientPerSecond: limits.client.rate,
      clientBurst: limits.client.burst ?? limits.client.rate,
    },
    timeouts: {
      preambleMs: timeouts.preamble,
      handshakeMs: timeouts.handshake,
      idleMs: timeouts.idle,
      lifetimeMs: timeouts.lifetime,
      halfCloseMs: timeouts.halfClose,
    },
    udp: { idleMs: udp.idle, responses: udp.responses, maxSessions: udp.maxSessions },
    tls: compileTls(listener, files.folder),
    http: compileHttp(listener, files, poolIndex),
    backlog: listener.backlog,
  };
}

function reportBackends(
  balancer: BalancerConfig,
  pool: string,
  { repeated, unresolved }: ReturnType<typeof expandBackends>,
  report: Report,
): void {
  const at = (index: number) => [...balancer.pools.path, pool, "backends", index];
  for (const { index, key } of repeated)
    report(balancer.pools.source, at(index), `${key} stands in this pool a second time`, "Keep one of the two");
  for (const { index, name } of unresolved)
    report(
      balancer.pools.source,
      at(index),
      `There are no addresses of ${name} yet: the pool goes without it until the DNS has answered`,
      "Nothing, if the name is right: it is asked for while rhumb runs",
      { severity: "warning" },
    );
}

/** @param targets gives each backend its row in the health table */
export function compileBalancer(
  parsed: ParsedConfig,
  files: ConfigFiles,
  targets: TargetDraft,
  machine: { readonly capacity: number; readonly cores: number },
  report: Report,
): CompiledBalancer {
  const { balancer } = parsed.root;
  if (!balancer?.settings) return NOTHING;
  const expanded = new Map<string, readonly BackendDraft[]>();
  for (const [name, pool] of balancer.pools.valid) {
    const result = expandBackends(name, pool.backends, files.names, balancer.patch, files.upstreams?.get(name));
    reportBackends(balancer, name, result, report);
    expanded.set(name, result.drafts);
  }
  const ids = backendIds([...expanded].flatMap(([pool, drafts]) => drafts.map(({ key }) => backendTarget(pool, key))));
  const specs: TargetSpec[] = [];
  const checks = new Map<string, CheckSpec>();
  const pools: PoolSpec[] = [];
  const drains: OverrideSpec[] = [];
  for (const [name, pool] of balancer.pools.valid) {
    const check = checkOfPool(parsed, balancer, name);
    const backends = (expanded.get(name) ?? []).flatMap((draft) => {
      const id = backendTarget(name, draft.key);
      const row = targets.row(id);
      if (row === undefined) return [];
      const spec = check && compileBackendCheck(check, draft, files);
      if (spec) checks.set(spec.name, spec);
      specs.push(compileTarget(name, draft, row, spec?.name));
      if (draft.isDraining) drains.push(compileDrain(id, balancer.settings?.source?.table ?? ""));
      return [compileBackend(draft, ids.get(id)!, row)];
    });
    if (backends.length < (expanded.get(name)?.length ?? 0))
      report(
        balancer.pools.source,
        [...balancer.pools.path, name, "backends"],
        `No room for all backends of ${JSON.stringify(name)}: the health table has ${machine.capacity} rows, and keeps those of targets that are gone`,
        "Use fewer backends, or restart the process to drop the old ones",
        { want: "key" },
      );
    pools.push(compilePool(name, pool, check?.name, backends, files));
  }
  const index = new Map(pools.map(({ name }, position) => [name, position]));
  const { settings } = balancer;
  return {
    snapshot: {
      region: settings.region,
      zone: settings.zone,
      workers: settings.workers === "auto" ? Math.min(MAX_AUTO_WORKERS, machine.cores) : settings.workers,
      engine: settings.engine,
      // A reference to a pool that is not there has been reported: nothing of this is applied then.
      listeners: [...balancer.listeners.valid].map(([name, listener]) =>
        compileListener(name, listener, files, (pool) => index.get(pool) ?? 0),
      ),
      pools,
      capacityRps: settings.capacity,
      drainMs: settings.drain,
      redis: compileRedis(parsed.root.cluster?.redis, files),
      nft: { table: settings.nft.table, device: settings.nft.device, masquerade: settings.nft.masquerade },
    },
    health: { targets: specs, checks: [...checks.values()], fileOverrides: drains },
    names: namesOfPools(balancer.pools.valid.values()),
  };
}
