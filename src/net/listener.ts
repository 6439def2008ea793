/**
 * The contract between a worker and its kinds of listener (TCP, UDP, HTTP).
 *
 * Owns:    types alone.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { ConnectionSampler } from "#net/connection-sampler.ts";
import type { ClientLimits } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import type { TlsContexts } from "#tls/contexts.ts";

export type ListenerContext = {
  readonly clock: Clock;
  readonly log: Log;
  /** Places at the pool with this index in the snapshot that serves now. */
  places(pool: number): Places;
  /** This listener's counters in this worker's block: `slots[LISTENER_COUNTER.accepted]! += 1`. */
  readonly slots: Float64Array;
  /** This worker's block of `BACKEND_COUNTERS`, by `backendCounter(row, …)`: octets and datagrams are counted here, the rest by `Places`. */
  readonly backendCounters: Float64Array;
  /** Over all workers. */
  readonly limits: ClientLimits;
  /** This listener's number in `limits`: the same in all workers. */
  readonly listener: number;
  /** Looks at how far clients are; undefined: nobody wants to know, or nobody can. */
  readonly sampler?: ConnectionSampler | undefined;
  /** Certificates of a spec that ends TLS. @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
  contextsOf(spec: ListenerSpec): TlsContexts;
};

export type Listener = {
  /** Same address and protocol, other settings: for new connections; those that live keep theirs. */
  apply(spec: ListenerSpec): void;
  /**
   * Opens another socket of the same listener.
   * @param fd TCP: a bound socket, which the listener owns from now on. UDP: undefined; it binds `at` by itself, with
   *   SO_REUSEPORT, as node:dgram offers no other way to more than one socket at a port
   * @returns the port. Rejects with what the system says, an Error with `code`
   */
  open(fd: number | undefined, at: ListenAddress): Promise<number>;
  /** Ends all connections at a backend: its time to drain is over. */
  stopBackend(row: number): void;
  /** Takes no new connections; resolves when all are over, the last ones by RST after `drainMs`. */
  drain(drainMs: number): Promise<void>;
  /** True: clients are to go elsewhere. Who comes is served, and told so where the protocol has a word for it. */
  setLeaving?(isLeaving: boolean): void;
  tick(nowMs: number): void;
  /** Connections of clients now, in this worker. */
  connections(): number;
};
