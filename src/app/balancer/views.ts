/**
 * What the API may read of the balancer, made from its engine and from health. Translates; decides nothing.
 * @module
 */
import type { BackendHealthView, BackendView, BalancerViews, CacheView, ListenerView, PoolView } from "#api/views.ts";
import type { BackendTimes } from "#app/balancer/backend-times.ts";
import { checkCode } from "#app/balancer/check-code.ts";
import type { BalancerEngine, ListenerStats } from "#app/balancer/engine.ts";
import { ruleViews } from "#app/balancer/rule-view.ts";
import { sumCaches } from "#app/balancer/sum-caches.ts";
import type { TlsKeeper } from "#app/balancer/tls-keeper.ts";
import { generationText } from "#app/generation-text.ts";
import type { ConfigDoor } from "#config/propose.ts";
import type { Health } from "#health/engine.ts";
import type { TargetView } from "#health/view.ts";
import type { CacheStats } from "#l7/cache/cache.ts";
import type { BackendView as KeptBackend, PoolView as KeptPool } from "#pool/pool-view.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";

const STATUS = {
  none: "unknown",
  active: "healthy",
  unknown: "unknown",
  drain: "draining",
  maint: "maintenance",
  down: "unhealthy",
  ejected: "ejected",
} as const satisfies Record<KeptBackend["state"], BackendView["status"]>;

const millisOf = (micros: number | undefined): number | null =>
  micros === undefined ? null : Math.round(micros) / 1_000;
const timeText = (atMs: number): string => new Date(atMs).toISOString();

export function createBalancerViews(parts: {
  readonly door: ConfigDoor;
  readonly health: Health;
  readonly engine: BalancerEngine;
  readonly tls: Pick<TlsKeeper, "certificates" | "acme">;
  readonly times: BackendTimes;
}): BalancerViews {
  const { door, health, engine, tls, times } = parts;
  const balancer = (): BalancerSnapshot => door.current()!.snapshot.balancer!;

  function backendView(pool: KeptPool, kept: KeptBackend): BackendView {
    const { spec } = kept;
    const { createdAtMs, updatedAtMs } = times.of(spec.id);
    return {
      backend_id: spec.id,
      pool_id: `pool-${pool.spec.name}`,
      pool: pool.spec.name,
      address: spec.host,
      resolved_address: spec.address,
      port: spec.port,
      weight: spec.weight,
      effective_weight: kept.weight,
      max_connections: spec.maxConnections,
      priority: spec.priority,
      backup: spec.priority > 0,
      zone: spec.zone ?? null,
      enabled: spec.isEnabled,
      status: STATUS[kept.state],
      cause: kept.cause === "" ? null : kept.cause,
      health_check_path: spec.healthPath ?? null,
      active_connections: kept.active,
      ejected_times: kept.ejection?.times ?? 0,
      traffic: trafficView(kept),
      origin: spec.origin,
      created_at: timeText(createdAtMs),
      updated_at: timeText(updatedAtMs),
    };
  }

  function trafficView({ totals, spec: { target } }: KeptBackend): BackendView["traffic"] {
    const latency = engine.latency(target);
    return {
      connections: totals.connections,
      failures: totals.failures,
      retries_away: totals.retries_away,
      requests: totals.requests,
      responses: {
        "1xx": totals.responses_1xx,
        "2xx": totals.responses_2xx,
        "3xx": totals.responses_3xx,
        "4xx": totals.responses_4xx,
        "5xx": totals.responses_5xx,
      },
      octets: { to_backend: totals.octets_to_backend, from_backend: totals.octets_from_backend },
      latency_ms: latency
        ? { p50: millisOf(latency.p50), p95: millisOf(latency.p95), p99: millisOf(latency.p99) }
        : null,
    };
  }

  function poolView({ spec, backends, isPanic, queued }: KeptPool): PoolView {
    return {
      pool_id: `pool-${spec.name}`,
      name: spec.name,
      mode: spec.mode,
      algorithm: spec.algorithm,
      health_check: spec.check ?? null,
      sticky_sessions: spec.sticky !== undefined,
      sticky_ttl: spec.sticky === undefined ? null : Math.round(spec.sticky.ttlMs / 1_000),
      drain_seconds: Math.round(spec.drainMs / 1_000),
      backends: { total: backends.length, healthy: backends.filter(({ state }) => state === "active").length },
      panic: isPanic,
      queued,
      active_connections: backends.reduce((sum, { active }) => sum + active, 0),
      origin: Object.hasOwn(door.current()!.overlay.pools ?? {}, spec.name) ? "api" : "file",
    };
  }

  function listenerView({ name, address, counters }: ListenerStats): ListenerView {
    const spec = balancer().listeners.find((listener) => listener.name === name)!;
    return {
      name,
      address: address.address,
      port: address.port,
      protocol: spec.protocol,
      pool: spec.pool === undefined ? null : balancer().pools[spec.pool]!.name,
      counters: { ...counters },
    };
  }

  const backendViews = (): BackendView[] =>
    engine.pools().flatMap((pool) => pool.backends.map((backend) => backendView(pool, backend)));

  function lastCheck(probed: TargetView | undefined): BackendHealthView["last_check"] {
    if (!probed?.lastProbe) return null;
    const { atMs, isPass, durationMs, says, errorClass, isConnected } = probed.lastProbe;
    const check = door.current()!.snapshot.health.checks.find(({ name }) => name === probed.check);
    const code = checkCode(check?.kind ?? "tcp", errorClass, isConnected);
    return { at: timeText(atMs), passed: isPass, duration_ms: durationMs, code, says };
  }

  return {
    version: () => generationText(door.current()!.snapshot.generation),
    backends: backendViews,
    backendHealth(id) {
      const kept = engine
        .pools()
        .flatMap(({ backends }) => backends)
        .find(({ spec }) => spec.id === id)!;
      const probed = health.view().find(({ target }) => target === kept.target);
      const { totals, ejection } = kept;
      const failed = totals.connect_refused + totals.connect_timeout + totals.connect_error + totals.resets;
      const override = probed?.override ?? null;
      return {
        backend_id: id,
        status: STATUS[kept.state],
        cause: kept.cause === "" ? null : kept.cause,
        since: timeText(kept.sinceMs),
        active_connections: kept.active,
        total_requests: totals.connections,
        failures: { current: kept.failuresInARow, total: failed, checks_in_a_row: probed?.failures ?? 0 },
        last_check: lastCheck(probed),
        ejection: ejection && { reason: ejection.reason, until: timeText(ejection.untilMs), times: ejection.times },
        override: override && {
          verb: override.verb,
          reason: override.reason,
          owner: override.owner,
          until: override.untilMs === null ? null : timeText(override.untilMs),
        },
        connect_ms: totals.connections === 0 ? null : Math.round(totals.connect_micros / totals.connections) / 1_000,
        octets: { to_backend: totals.octets_to_backend, from_backend: totals.octets_from_backend },
      };
    },
    pools: () => engine.pools().map(poolView),
    listeners: () => engine.stats().listeners.map(listenerView),
    stats() {
      const { engine: tcpEngine, workers, listeners } = engine.stats();
      return {
        region: balancer().region,
        engine: tcpEngine ? { ...tcpEngine } : null,
        workers: workers.map((worker) => ({ ...worker })),
        listeners: listeners.map(listenerView),
        pools: engine.pools().map(poolView),
        backends: backendViews(),
      };
    },
    cache: async () => sumCaches(await engine.cacheStats()).map(cacheView),
    rules: () => balancer().listeners.flatMap((listener) => ruleViews(listener, balancer().pools)),
    certificates: () => ({
      certificates: tls.certificates().map(({ listener, certificate, names, issuer, notAfterMs, staple }) => ({
        listener,
        certificate,
        names: [...names],
        issuer,
        not_after: timeText(notAfterMs),
        staple,
      })),
      acme: tls.acme().map(({ key, domains, notAfterMs, issued, failures, fault, nextAtMs }) => ({
        certificate: key,
        domains: [...domains],
        not_after: notAfterMs === undefined ? null : timeText(notAfterMs),
        issued,
        failures,
        fault: fault ?? null,
        next_at: timeText(nextAtMs),
      })),
    }),
  };
}

const cacheView = ({ maxOctets, ...rest }: CacheStats): CacheView => ({ ...rest, max_octets: maxOctets });
