/**
 * What a scrape gets of the balancer. Translates; decides nothing.
 * @module
 */
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { sumCaches } from "#app/balancer/sum-caches.ts";
import type { TlsKeeper } from "#app/balancer/tls-keeper.ts";
import type { Clock } from "#base/clock.ts";
import type { CacheStats } from "#l7/cache/cache.ts";
import type { BalancerSource } from "#metrics/read-balancer.ts";

/** A worker that is busy for longer has no say about its cache: a scrape must not wait for it. */
const CACHE_WAIT_MS = 500;

/** Undefined without the role. */
export async function balancerMetrics(
  engine: BalancerEngine,
  tls: TlsKeeper,
  clock: Clock,
): Promise<BalancerSource | undefined> {
  if (engine.snapshot() === undefined) return undefined;
  const caches = await inTime(engine.cacheStats(), clock);
  const { engine: tcpEngine, workers, listeners } = engine.stats();
  const serving: Record<string, number> = {};
  for (const { kind, isServing } of workers) serving[kind] = (serving[kind] ?? 0) + (isServing ? 1 : 0);
  return {
    engine: tcpEngine,
    workers: serving,
    listeners,
    certificates: tls.certificates(),
    acme: tls.acme(),
    caches: sumCaches(caches),
    droppedLines: engine.droppedLogLines(),
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

function inTime(asked: Promise<readonly CacheStats[]>, clock: Clock): Promise<readonly CacheStats[]> {
  const { promise, resolve } = Promise.withResolvers<readonly CacheStats[]>();
  const timer = clock.after(CACHE_WAIT_MS, () => resolve([]));
  void asked.then((stats) => {
    timer.cancel();
    resolve(stats);
  });
  return promise;
}
