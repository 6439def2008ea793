/**
 * What HTTP listeners of one worker share: pools with their connections to backends, the cache, rate limits, and batches of
 * what goes to the main thread (lines of the access log, spans).
 *
 * Owns:    all of these, over all listeners and configurations.
 * @module
 */
import { randomFillSync } from "node:crypto";
import type { FromBalancerWorker } from "#app/balancer/protocol.ts";
import type { Clock } from "#base/clock.ts";
import type { Purge } from "#l7/cache/cache.ts";
import { createHttpCache } from "#l7/cache/http-cache.ts";
import type { HttpContext } from "#l7/context.ts";
import { createRequestIds } from "#l7/headers/request-id.ts";
import { createHttpListener } from "#l7/http-listener.ts";
import { createAccessLog } from "#l7/log/access-log.ts";
import type { PoolRef } from "#l7/route.ts";
import { createRateLimits } from "#l7/rules/rate-limits.ts";
import { createUpstreams } from "#l7/upstreams.ts";
import type { TcpDriver } from "#net/driver.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import type { Places } from "#pool/place.ts";
import type { BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { SpanRecord } from "#state/spans.ts";

/** Spans that go to the main thread at once, at the latest. */
const SPAN_BATCH = 256;

export type WorkerHttp = {
  createListener(spec: ListenerSpec, context: ListenerContext): Listener;
  /** After the listeners have taken a snapshot over. @param placesAt places at the pool with this index in it */
  apply(snapshot: BalancerSnapshot, placesAt: (pool: number) => Places): void;
  stopBackend(row: number): void;
  /** Whether something is awaited of the event loop. */
  isWaiting(): boolean;
  purge(what: Purge): number;
  cacheStats(): ReturnType<HttpContext["cache"]["stats"]>;
  tick(nowMs: number): void;
  close(): void;
};

/** A class: literals with getters are slow to look into, and each request does. */
class PoolOfPlaces implements PoolRef {
  readonly places: Places;
  constructor(places: Places) {
    this.places = places;
  }
  get spec(): PoolSpec {
    return this.places.spec;
  }
}

export function createWorkerHttp(options: {
  readonly driver: TcpDriver;
  readonly clock: Clock;
  readonly rng: () => number;
  readonly rateLimits: SharedArrayBuffer;
  readonly latency: Float64Array;
  /** Text of a file that the snapshot names. */
  readonly textOf: (file: string) => string;
  /** What proves names to an ACME authority over HTTP. */
  readonly acmeAnswer: HttpContext["acmeAnswer"];
  readonly tell: (message: FromBalancerWorker) => void;
  /** Lets the event loop have its turn, where it is not what this thread lives in. */
  readonly endTurn: () => void;
}): WorkerHttp {
  const { driver, clock, rng, textOf, tell, endTurn } = options;
  const upstreams = createUpstreams({ driver, clock, textOf });
  const cache = createHttpCache({ clock, onInvalidate: (url) => tell({ type: "invalidated", url }) });
  const rateLimits = createRateLimits(options.rateLimits);
  const accessLog = createAccessLog({ rng, send: (path, lines) => tell({ type: "access", path, lines }) });
  const newRequestId = createRequestIds(clock.nowMs, randomFillSync);
  /** One object for the life of a pool: its index changes with the configuration. */
  const pools = new WeakMap<Places, PoolRef>();
  let spans: { readonly listener: string; readonly span: SpanRecord }[] = [];
  let waiting = 0;

  function poolOf(places: Places): PoolRef {
    let pool = pools.get(places);
    if (pool === undefined) {
      pool = new PoolOfPlaces(places);
      pools.set(places, pool);
    }
    return pool;
  }
  function sendSpans(): void {
    if (spans.length === 0) return;
    tell({ type: "spans", spans });
    spans = [];
  }

  return {
    createListener(spec, context) {
      let current = spec;
      const listener = createHttpListener({
        spec,
        context: {
          ...context,
          driver,
          pool: (index) => poolOf(context.places(index)),
          upstreams: upstreams.of,
          waiting(change) {
            waiting += change;
            if (change > 0) endTurn();
          },
          textOf,
          acmeAnswer: options.acmeAnswer,
          rng,
          cache,
          rateLimits,
          latency: options.latency,
          newRequestId,
          logAccess(entry) {
            const accessSpec = current.http?.accessLog;
            if (accessSpec !== undefined) accessLog.write(accessSpec, entry);
          },
          span(span) {
            spans.push({ listener: spec.name, span });
            if (spans.length >= SPAN_BATCH) sendSpans();
          },
        },
      });
      return {
        ...listener,
        apply(next) {
          current = next;
          listener.apply(next);
        },
      };
    },
    apply: ({ pools: specs }, placesAt) =>
      upstreams.apply(new Map(specs.map(({ name }, index) => [name, poolOf(placesAt(index))]))),
    stopBackend: upstreams.stopBackend,
    isWaiting: () => waiting > 0,
    purge: cache.purge,
    cacheStats: cache.stats,
    tick(nowMs) {
      upstreams.tick(nowMs);
      cache.tick();
      accessLog.tick();
      sendSpans();
    },
    close() {
      accessLog.tick();
      sendSpans();
      upstreams.close();
      cache.close();
    },
  };
}
