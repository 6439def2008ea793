/**
 * What a scrape gets of the balancer. Translates; decides nothing.
 * @module
 */
import type { BalancerEngine } from "#app/balancer/engine.ts";
import type { TlsKeeper } from "#app/balancer/tls-keeper.ts";
import type { BalancerSource } from "#metrics/read-balancer.ts";

/** Undefined without the role. */
export function balancerMetrics(engine: BalancerEngine, tls: TlsKeeper): BalancerSource | undefined {
  if (engine.snapshot() === undefined) return undefined;
  const { engine: tcpEngine, workers, listeners } = engine.stats();
  const serving: Record<string, number> = {};
  for (const { kind, isServing } of workers) serving[kind] = (serving[kind] ?? 0) + (isServing ? 1 : 0);
  return {
    engine: tcpEngine,
    workers: serving,
    listeners,
    certificates: tls.certificates(),
    acme: tls.acme(),
    pools: engine.pools().map(({ spec, isPanic, queued, backends }) => ({
      name: spec.name,
      isPanic,
      queued,
      backends: backends.map((backend) => ({
        key: backend.spec.key,
        state: backend.state,
        weight: backend.weight,
        active: backend.active,
        counters: backend.totals,
        latency: engine.latency(backend.spec.target),
      })),
    })),
  };
}
