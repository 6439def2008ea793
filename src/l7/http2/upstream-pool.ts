/**
 * Connections of HTTP/2 to the backends of one pool, in one worker: a few for each backend, with many requests at a time.
 *
 * Owns:    all sessions, by the row of their backend. A further one is opened where all are full.
 * Rule:    a request that must not be sent twice needs no connection of its own here: a backend that closes one says by
 *          GOAWAY which requests it did not look at, where HTTP/1.1 leaves that open. `isFresh` therefore changes nothing.
 *          One with a PROXY header before it serves that client alone (R35).
 * @module
 */
import { type SessionHost, type SessionTerms, UpstreamSession } from "#l7/http2/upstream-session.ts";
import { Http2UpstreamStream } from "#l7/http2/upstream-stream.ts";
import type { OutboundRequest, UpstreamPool } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import { createUniqueIds, upstreamHead } from "#net/proxy-head.ts";
import type { PoolSpec } from "#state/balancer.ts";

export type Http2UpstreamOptions = {
  readonly driver: TcpDriver;
  readonly clock: { monotonicMs(): number };
  /** Its `spec` is read anew for each request. */
  readonly pool: { readonly spec: PoolSpec };
  /** Of pools whose backends speak TLS; else it is HTTP/2 by prior knowledge. */
  readonly tlsTerms?: ((request: OutboundRequest, row: number) => TlsUpstreamTerms) | undefined;
};

export type Http2UpstreamPool = UpstreamPool & {
  /** For tests of what it lets go of. */
  held(): { readonly sessions: number; readonly requests: number };
};

/** Before a backend has said how many streams it takes (RFC 9113 §6.5.2 has no limit then). */
const UNKNOWN_PEER_STREAMS = 0xffff_ffff;

export function createHttp2UpstreamPool(options: Http2UpstreamOptions): Http2UpstreamPool {
  const { driver, clock, pool, tlsTerms } = options;
  const ids = createUniqueIds();
  const rows: (Row | undefined)[] = [];

  class Row implements SessionHost {
    readonly driver = driver;
    sessions: UpstreamSession[] = [];
    #peerStreams = UNKNOWN_PEER_STREAMS;

    monotonicMs(): number {
      return clock.monotonicMs();
    }
    spec(): PoolSpec["upstream"] {
      return pool.spec.upstream;
    }
    proxyHead({ source, destination, tls }: Arrived): Uint8Array | undefined {
      const { proxyProtocol } = pool.spec;
      return proxyProtocol && upstreamHead(proxyProtocol, { source, destination, serverName: tls?.serverName }, ids);
    }

    place(stream: Http2UpstreamStream, terms: SessionTerms): void {
      let session = this.sessions.find((one) => one.suits(terms) && one.hasRoom());
      if (session === undefined) {
        session = new UpstreamSession(this, terms, this.#peerStreams);
        this.sessions.push(session);
      }
      session.take(stream);
    }
    onSurplus(session: UpstreamSession, streams: Http2UpstreamStream[]): void {
      this.#peerStreams = session.peerStreams;
      for (const stream of streams) this.place(stream, session.terms);
    }
    onIdle(session: UpstreamSession): void {
      if (this.idle() > pool.spec.upstream.maxIdle) session.leave();
    }
    onSessionEnd(session: UpstreamSession): void {
      this.sessions = this.sessions.filter((other) => other !== session);
    }
    idle(): number {
      let idle = 0;
      for (const session of this.sessions) if (session.isIdle && !session.isLeaving) idle++;
      return idle;
    }
  }

  return {
    open(row, backend, request, events, { connectTimeoutMs, arrived }) {
      rows[row] ??= new Row();
      const stream = new Http2UpstreamStream(request, events);
      rows[row].place(stream, {
        to: { address: backend.address, port: backend.port },
        timeoutMs: connectTimeoutMs,
        tls: tlsTerms?.(request, row),
        pinnedTo: pool.spec.proxyProtocol === undefined ? undefined : arrived,
      });
      return stream;
    },
    leave(row) {
      for (const session of rows[row]?.sessions ?? []) session.leave();
    },
    stop(row) {
      for (const session of rows[row]?.sessions ?? []) session.drop("reset");
    },
    idle: () => rows.reduce((sum, row) => sum + (row?.idle() ?? 0), 0),
    tick(nowMs) {
      for (const row of rows) for (const session of row?.sessions ?? []) session.tick(nowMs);
    },
    close() {
      for (const row of rows) for (const session of row?.sessions ?? []) session.drop("reset");
    },
    held: () => ({
      sessions: rows.reduce((sum, row) => sum + (row?.sessions.length ?? 0), 0),
      requests: rows.reduce((sum, row) => sum + (row?.sessions ?? []).reduce((all, { active }) => all + active, 0), 0),
    }),
  };
}
