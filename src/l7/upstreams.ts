/**
 * Connections to the backends of all pools, in one worker, shared by its HTTP listeners.
 *
 * Owns:    one upstream pool for each pool and way of speaking to it. Another protocol or other TLS settings begin with
 *          connections of their own: nothing that was verified by old rules is used under new ones.
 * Never:   decides which backend; it is told the row.
 * @module
 */
import { createHttp1Upstreams } from "#l7/http1/upstream-pool.ts";
import { createHttp2UpstreamPool } from "#l7/http2/upstream-pool.ts";
import type { PoolRef } from "#l7/route.ts";
import type { OutboundRequest, UpstreamPool } from "#l7/stream.ts";
import type { TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { createUpstreamTls } from "#tls/upstream.ts";

export type Upstreams = {
  of(pool: PoolRef): UpstreamPool;
  /**
   * Follows another configuration: pools that are gone, and those that are spoken to in another way, finish what is under
   * way and are closed.
   * @param pools of the snapshot, by name
   */
  apply(pools: ReadonlyMap<string, PoolRef>): void;
  /** Ends all at a backend: its time to drain is over. */
  stopBackend(row: number): void;
  tick(nowMs: number): void;
  close(): void;
};

type Entry = { readonly way: string; readonly pool: PoolRef; readonly upstreams: UpstreamPool };
type Retired = { readonly upstreams: UpstreamPool; readonly untilMs: number };

/** What makes a connection unfit for what is configured now. */
const wayOf = ({ upstream, proxyProtocol }: PoolSpec): string =>
  JSON.stringify([upstream.protocol, upstream.tls, proxyProtocol]);

export function createUpstreams(options: {
  readonly driver: TcpDriver;
  readonly clock: { monotonicMs(): number };
  /** Text of a file that the snapshot names. */
  readonly textOf: (file: string) => string;
}): Upstreams {
  const { driver, clock, textOf } = options;
  const entries = new Map<string, Entry>();
  let retired: Retired[] = [];

  function open(pool: PoolRef): UpstreamPool {
    const { protocol, tls } = pool.spec.upstream;
    const { connectTimeoutMs } = pool.spec;
    const alpn = protocol === "http2" ? ["h2"] : ["http/1.1"];
    const terms = tls && createUpstreamTls({ spec: tls, textOf, alpn, timeoutMs: connectTimeoutMs });
    const tlsTerms =
      terms && (({ authority }: OutboundRequest, row: number): TlsUpstreamTerms => terms.terms(authority, row));
    const create = protocol === "http2" ? createHttp2UpstreamPool : createHttp1Upstreams;
    return create({ driver, clock, pool, tlsTerms });
  }
  /** No connection of it serves another request; those that serve one may finish. */
  function retire({ upstreams, pool }: Entry): void {
    for (const { target } of pool.spec.backends) upstreams.leave(target);
    retired.push({ upstreams, untilMs: clock.monotonicMs() + pool.spec.drainMs });
  }
  function entryOf(pool: PoolRef): Entry {
    const known = entries.get(pool.spec.name);
    if (known?.pool === pool) return known;
    if (known !== undefined) retire(known);
    const entry = { way: wayOf(pool.spec), pool, upstreams: open(pool) };
    entries.set(pool.spec.name, entry);
    return entry;
  }

  return {
    of: (pool) => entryOf(pool).upstreams,
    apply(pools) {
      for (const [name, entry] of entries) {
        const pool = pools.get(name);
        if (pool === entry.pool && wayOf(pool.spec) === entry.way) continue;
        retire(entry);
        entries.delete(name);
      }
    },
    stopBackend(row) {
      for (const { upstreams } of [...entries.values(), ...retired]) upstreams.stop(row);
    },
    tick(nowMs) {
      for (const { upstreams } of entries.values()) upstreams.tick(nowMs);
      if (retired.length === 0) return;
      for (const { upstreams, untilMs } of retired) {
        upstreams.tick(nowMs);
        if (untilMs <= nowMs) upstreams.close();
      }
      retired = retired.filter(({ untilMs }) => untilMs > nowMs);
    },
    close() {
      for (const { upstreams } of [...entries.values(), ...retired]) upstreams.close();
      entries.clear();
      retired = [];
    },
  };
}
