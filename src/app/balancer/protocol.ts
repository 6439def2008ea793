/**
 * What the balancer engine and its worker threads say to each other.
 *
 * Owns:    the messages and what a thread starts with. One revision number runs through everything that is served; a
 *          worker that serves a revision writes it into its word of shared memory and wakes who waits there.
 * @module
 */

import type { TlsMaterial } from "#app/balancer/tls-material.ts";
import type { EngineKinds } from "#app/balancer/worker-kind.ts";
import type { ServeFailed } from "#app/supervised-worker.ts";
import type { LogFields } from "#base/log.ts";
import type { CacheStats, Purge } from "#l7/cache/cache.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import type { SpanRecord } from "#state/spans.ts";

/**
 * `epoll`: plain TCP, TLS passthrough and plain HTTP/1.1 over system calls. `net`: TLS, HTTP/2, UDP, and all where there
 * is no epoll.
 */
export type BalancerWorkerKind = "epoll" | "net";

/** Everything a worker serves from. */
export type BalancerWorld = {
  readonly revision: number;
  readonly snapshot: BalancerSnapshot;
  readonly tls: TlsMaterial;
  /** What workers share of sticky clients, by pool (`pool/sticky-memory.ts`). */
  readonly stickyTables: Readonly<Record<string, Int32Array>>;
  /** Which block of counters is whose, by the listener's name. */
  readonly slots: Readonly<Record<string, number>>;
  /** Clients are to go elsewhere: the region is being evacuated. */
  readonly isLeaving: boolean;
};

export type BalancerWorkerData = {
  readonly kind: BalancerWorkerKind;
  readonly kinds: EngineKinds;
  world?: BalancerWorld;
  readonly backendTable: Int32Array;
  /** This worker's counters of backends and of listeners. */
  readonly backendCounters: Float64Array;
  readonly listenerCounters: Float64Array;
  readonly latencies: Float64Array;
  /** Limits of clients, over all workers. */
  readonly limits: SharedArrayBuffer;
  /** Of HTTP requests, over all workers (`l7/rules/rate-limits.ts`). */
  readonly rateLimits: SharedArrayBuffer;
  readonly ack: Int32Array;
};

export type ToBalancerWorker =
  | { readonly type: "serve"; readonly world: BalancerWorld }
  | { readonly type: "open"; readonly listener: string; readonly fd: number | undefined; readonly at: ListenAddress }
  /** The time that connections at this backend had to finish is over. */
  | { readonly type: "stop-backend"; readonly row: number }
  /** Drops what it has of this in its HTTP cache; answered by `purged` where it has a number. */
  | { readonly type: "purge"; readonly id: number | undefined; readonly what: Purge }
  /** Answered by `cache-stats`. */
  | { readonly type: "cache-stats"; readonly id: number }
  /** No new connections; the thread ends when all are over, at the latest after `drainMs`. */
  | { readonly type: "drain"; readonly drainMs: number };

export type FromBalancerWorker =
  | { readonly type: "opened"; readonly listener: string; readonly port: number }
  | { readonly type: "open-failed"; readonly listener: string; readonly code: string; readonly says: string }
  | ServeFailed
  /** Lines of the access log. */
  | { readonly type: "access"; readonly path: string; readonly lines: string }
  | { readonly type: "spans"; readonly spans: readonly { readonly listener: string; readonly span: SpanRecord }[] }
  /** A write has changed what stands at this URL. */
  | { readonly type: "invalidated"; readonly url: string }
  /** How far some clients are, whose connections came since the last time. */
  | { readonly type: "connection-times"; readonly addresses: readonly string[]; readonly rttMicros: readonly number[] }
  | { readonly type: "purged"; readonly id: number; readonly count: number }
  | { readonly type: "cache-stats"; readonly id: number; readonly stats: readonly CacheStats[] }
  | {
      readonly type: "log";
      readonly level: "info" | "warn" | "error";
      readonly fields: LogFields;
      readonly says: string;
    };
