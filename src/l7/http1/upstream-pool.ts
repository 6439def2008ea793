/**
 * Connections of HTTP/1.1 to the backends of one pool, in one worker: those that stand idle serve the next request.
 *
 * Owns:    all connections, by the row of their backend. Of idle ones the last used is used first, so that those beyond need
 *          grow old and go.
 * Rule:    a connection that says who a client is (PROXY header, NTLM) serves that client alone (R35). What must not be sent
 *          twice goes by none that has stood idle for long: the backend may be closing it, and would not say whether it had
 *          looked at the request (R36).
 * @module
 */
import { createDeadlines } from "#l7/exchange/deadlines.ts";
import { isIdempotent } from "#l7/exchange/retry.ts";
import type { HeadLimits } from "#l7/http1/parse.ts";
import { UpstreamConnection, type UpstreamRow, type UpstreamSettings } from "#l7/http1/upstream-connection.ts";
import type { OutboundRequest, UpstreamPool } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import { createUniqueIds, upstreamHead } from "#net/proxy-head.ts";
import type { PoolSpec } from "#state/balancer.ts";

/** For so long a connection is trusted with what must not be sent twice: this, or so much of the time that it may be idle. */
const MAX_TRUSTED_IDLE_MS = 1_000;
const TRUSTED_IDLE_SHARE = 0.5;
/** Backends are believed to mean well, not to be right. */
const RESPONSE_LIMITS: HeadLimits = { lineOctets: 8_192, headOctets: 65_536, fields: 256 };

const NEVER_MS = Number.POSITIVE_INFINITY;

export type Http1UpstreamOptions = {
  readonly driver: TcpDriver;
  readonly clock: { monotonicMs(): number };
  /** Its `spec` is read anew for each request. */
  readonly pool: { readonly spec: PoolSpec };
  readonly limits?: HeadLimits;
  /** Of pools whose backends speak TLS. */
  readonly tlsTerms?: ((request: OutboundRequest, row: number) => TlsUpstreamTerms) | undefined;
};

export type Http1UpstreamPool = UpstreamPool & {
  /** For tests of what it lets go of: connections in any state, and time limits. */
  held(): { readonly connections: number; readonly timers: number };
};

export function createHttp1Upstreams(options: Http1UpstreamOptions): Http1UpstreamPool {
  const { driver, clock, pool, tlsTerms } = options;
  const deadlines = createDeadlines(clock.monotonicMs());
  const ids = createUniqueIds();
  const settings: UpstreamSettings = {
    driver,
    limits: options.limits ?? RESPONSE_LIMITS,
    deadlines,
    monotonicMs: () => clock.monotonicMs(),
    spec: () => pool.spec.upstream,
  };
  const rows: (Row | undefined)[] = [];
  const rowAt = (row: number): Row => {
    rows[row] ??= new Row(pool);
    return rows[row];
  };

  function proxyHead(arrived: Arrived): Uint8Array | undefined {
    const { proxyProtocol } = pool.spec;
    if (proxyProtocol === undefined) return undefined;
    const { source, destination, tls } = arrived;
    return upstreamHead(proxyProtocol, { source, destination, serverName: tls?.serverName }, ids);
  }

  const trustedSinceMs = (): number =>
    deadlines.nowMs() - Math.min(MAX_TRUSTED_IDLE_MS, pool.spec.upstream.idleMs * TRUSTED_IDLE_SHARE);

  return {
    open(row, backend, request, events, { isFresh, connectTimeoutMs, arrived }) {
      const at = rowAt(row);
      const tls = tlsTerms?.(request, row);
      const sinceMs = isFresh ? NEVER_MS : isIdempotent(request.method) ? 0 : trustedSinceMs();
      const idle = at.take(arrived, tls?.serverName, sinceMs);
      if (idle !== undefined) return idle.send(request, arrived, events);
      const head = proxyHead(arrived);
      const connection = new UpstreamConnection(settings, at, head && arrived, tls?.serverName);
      at.all.add(connection);
      const { address, port } = backend;
      return connection.dial(
        { to: { address, port }, timeoutMs: connectTimeoutMs, head, tls },
        request,
        arrived,
        events,
      );
    },
    leave: (row) => rows[row]?.leave(),
    stop: (row) => rows[row]?.stop(),
    idle: () => rows.reduce((sum, row) => sum + (row?.idle.length ?? 0), 0),
    tick(nowMs) {
      deadlines.advance(nowMs);
      for (const row of rows) row?.letGo();
    },
    close() {
      for (const row of rows) row?.stop();
    },
    held: () => ({
      connections: rows.reduce((sum, row) => sum + (row?.all.size ?? 0), 0),
      timers: deadlines.armed(),
    }),
  };
}

class Row implements UpstreamRow {
  readonly all = new Set<UpstreamConnection>();
  /** Last used last. */
  readonly idle: UpstreamConnection[] = [];
  /** Of those that stand idle. */
  #pinned = 0;
  readonly #pool: { readonly spec: PoolSpec };

  constructor(pool: { readonly spec: PoolSpec }) {
    this.#pool = pool;
  }

  /**
   * @param sinceMs none that has been idle since before this
   * @returns an idle connection that this request may be sent on, which is not idle any more
   */
  take(arrived: Arrived, serverName: string | undefined, sinceMs: number): UpstreamConnection | undefined {
    // A client that is known on a connection goes nowhere else.
    for (let at = this.idle.length - 1; at >= 0 && this.#pinned > 0; at--) {
      const { pinnedTo, isBound, serverName: name, idleSinceMs } = this.idle[at]!;
      if (pinnedTo === arrived && name === serverName && (isBound || idleSinceMs >= sinceMs)) return this.#takeAt(at);
    }
    if (sinceMs === NEVER_MS || this.#pool.spec.proxyProtocol !== undefined) return undefined;
    for (let at = this.idle.length - 1; at >= 0; at--) {
      const { pinnedTo, serverName: name, idleSinceMs } = this.idle[at]!;
      if (pinnedTo === undefined && name === serverName && idleSinceMs >= sinceMs) return this.#takeAt(at);
    }
    return undefined;
  }
  #takeAt(at: number): UpstreamConnection {
    const connection = this.idle[at]!;
    const last = this.idle.pop()!;
    if (last !== connection) this.idle[at] = last;
    if (connection.pinnedTo !== undefined) this.#pinned--;
    return connection;
  }

  rest(connection: UpstreamConnection): boolean {
    if (this.idle.length >= this.#pool.spec.upstream.maxIdle) return false;
    this.idle.push(connection);
    if (connection.pinnedTo !== undefined) this.#pinned++;
    return true;
  }
  left(connection: UpstreamConnection): void {
    this.all.delete(connection);
    const at = this.idle.lastIndexOf(connection);
    if (at < 0) return;
    this.idle.splice(at, 1);
    if (connection.pinnedTo !== undefined) this.#pinned--;
  }

  /** Of clients that have gone: nobody else may have their connections. */
  letGo(): void {
    for (let at = this.idle.length - 1; at >= 0 && this.#pinned > 0; at--) {
      const connection = this.idle[at]!;
      if (connection.pinnedTo?.hasDeparted) connection.stop();
    }
  }
  leave(): void {
    for (const connection of [...this.all]) {
      connection.isLeaving = true;
      if (connection.isIdle) connection.stop();
    }
  }
  stop(): void {
    for (const connection of [...this.all]) {
      connection.isLeaving = true;
      connection.stop();
    }
  }
}
