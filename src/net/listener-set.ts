/**
 * The listeners of one worker, and the places of their pools.
 *
 * Owns:    one `Places` a pool name and one listener a listener name, over all configurations. Connections live on through
 *          every change; those of a listener that is gone have `drainMs` to finish.
 * Never:   knows threads, files, or what a protocol is: who serves a listener is handed in.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { ConnectionSampler } from "#net/connection-sampler.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import type { ClientLimits } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import type { BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import type { TlsContexts } from "#tls/contexts.ts";

export type ListenerSetOptions = {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether this worker serves such a listener; others are not opened here. */
  readonly serves: (listener: ListenerSpec, snapshot: BalancerSnapshot) => boolean;
  readonly createPlaces: (spec: PoolSpec, snapshot: BalancerSnapshot) => Places;
  /** Another configuration of a pool that stays. */
  readonly applyPlaces?: (places: Places, spec: PoolSpec, snapshot: BalancerSnapshot) => void;
  /** What serves such a listener. */
  readonly createListener: (spec: ListenerSpec, context: ListenerContext) => Listener;
  /** This worker's block of `BACKEND_COUNTERS`. */
  readonly backendCounters: Float64Array;
  /** This worker's counters of a listener. */
  readonly listenerSlots: (name: string) => Float64Array;
  /** Number of a listener in `limits`: the same in all workers. */
  readonly listenerNumber: (name: string) => number;
  readonly limits: ClientLimits;
  readonly sampler?: ConnectionSampler | undefined;
  /**
   * Certificates of a listener that ends TLS, ready for use.
   * @throws RhumbError RHUMB_BALANCER_CERTIFICATE
   */
  readonly contextsOf: (spec: ListenerSpec) => TlsContexts;
};

export type ListenerSet = {
  /**
   * Takes over another configuration, whole or not at all. Listeners that are new are opened by `open`.
   * @throws RhumbError RHUMB_BALANCER_CERTIFICATE
   */
  apply(snapshot: BalancerSnapshot): void;
  /** @returns the port. Rejects with what the system says, an Error with `code` */
  open(listener: string, fd: number | undefined, at: ListenAddress): Promise<number>;
  /** Places at the pool with this index in the snapshot that serves now. */
  places(pool: number): Places;
  /** Ends all connections at a backend: its time to drain is over. */
  stopBackend(row: number): void;
  /** Tells all listeners whether clients are to go elsewhere. */
  setLeaving(isLeaving: boolean): void;
  /** Takes no new connections; resolves when all are over, at the latest after `drainMs`. */
  drain(drainMs: number): Promise<void>;
  /** Connections of clients now, by listener. */
  connections(): Readonly<Record<string, number>>;
  /** Once every 50 to 100 ms. */
  tick(nowMs: number): void;
  close(): void;
};

type Served = { spec: ListenerSpec; readonly listener: Listener };

/** Protocols that end TLS here. */
const ENDS_TLS: ReadonlySet<string> = new Set(["tls", "https"]);

export function createListenerSet(options: ListenerSetOptions): ListenerSet {
  const { clock, log, contextsOf } = options;
  let snapshot: BalancerSnapshot | undefined;
  const pools = new Map<string, Places>();
  const listeners = new Map<string, Served>();
  /** Gone from the configuration; their connections finish. */
  const leaving = new Set<Served>();

  const places = (pool: number): Places => pools.get(snapshot!.pools[pool]!.name)!;

  function create(spec: ListenerSpec): Served {
    const context: ListenerContext = {
      clock,
      log,
      places,
      slots: options.listenerSlots(spec.name),
      backendCounters: options.backendCounters,
      limits: options.limits,
      listener: options.listenerNumber(spec.name),
      sampler: options.sampler,
      contextsOf,
    };
    return { spec, listener: options.createListener(spec, context) };
  }

  function leave(name: string, served: Served, drainMs: number): void {
    listeners.delete(name);
    leaving.add(served);
    void served.listener.drain(drainMs).finally(() => leaving.delete(served));
  }

  function applyPools(next: BalancerSnapshot): void {
    for (const spec of next.pools) {
      const places = pools.get(spec.name);
      if (places === undefined) pools.set(spec.name, options.createPlaces(spec, next));
      else if (options.applyPlaces) options.applyPlaces(places, spec, next);
      else places.apply(spec);
    }
    const names = new Set(next.pools.map(({ name }) => name));
    for (const [name, places] of pools) {
      if (names.has(name)) continue;
      pools.delete(name); // who has a place there gives it back to the object, which stays until then
      places.close();
    }
  }

  const all = (): Served[] => [...listeners.values(), ...leaving];

  return {
    apply(next) {
      const served = next.listeners.filter((listener) => options.serves(listener, next));
      for (const spec of served) if (ENDS_TLS.has(spec.protocol)) contextsOf(spec); // throws before anything has changed
      snapshot = next;
      applyPools(next);
      const wanted = new Map(served.map((spec) => [spec.name, spec]));
      for (const [name, old] of listeners) {
        const spec = wanted.get(name);
        if (spec === undefined || !isSameSocket(spec, old.spec)) leave(name, old, next.drainMs);
      }
      for (const spec of served) {
        const old = listeners.get(spec.name);
        if (old === undefined) listeners.set(spec.name, create(spec));
        else {
          old.spec = spec;
          old.listener.apply(spec);
        }
      }
    },
    async open(name, fd, at) {
      const served = listeners.get(name);
      if (served === undefined) throw new Error(`This worker serves no listener ${name}`);
      return served.listener.open(fd, at);
    },
    places,
    stopBackend(row) {
      for (const { listener } of all()) listener.stopBackend(row);
    },
    setLeaving(isLeaving) {
      for (const { listener } of listeners.values()) listener.setLeaving?.(isLeaving);
    },
    async drain(drainMs) {
      for (const [name, served] of [...listeners]) {
        listeners.delete(name);
        leaving.add(served);
      }
      await Promise.all([...leaving].map(({ listener }) => listener.drain(drainMs)));
    },
    connections: () =>
      Object.fromEntries([...listeners.values()].map(({ spec, listener }) => [spec.name, listener.connections()])),
    tick(nowMs) {
      for (const places of pools.values()) places.tick(nowMs);
      for (const { listener } of all()) listener.tick(nowMs);
    },
    close() {
      for (const { listener } of all()) void listener.drain(0);
      for (const places of pools.values()) places.close();
    },
  };
}

/** Whether a listener can go on with the sockets that it has. */
const isSameSocket = (a: ListenerSpec, b: ListenerSpec): boolean =>
  a.protocol === b.protocol && a.listen.address === b.listen.address && a.listen.port === b.listen.port;
