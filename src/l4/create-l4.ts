/**
 * The L4 engine of one worker: its listeners, and the places of their pools.
 *
 * Owns:    one `Places` a pool name and one listener a listener name, over all configurations. Connections live on through
 *          every change; those of a listener that is gone have `drainMs` to finish.
 * Never:   knows threads, or opens files. Sockets and texts are handed in.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { L4Listener, ListenerContext } from "#l4/listener.ts";
import type { TcpDriver } from "#l4/tcp/driver.ts";
import { createTcpListener } from "#l4/tcp/serve-tcp.ts";
import type { ClientLimits } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import type { BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import { createTlsContexts, type TlsContexts } from "#tls/contexts.ts";

export type L4Options = {
  readonly driver: TcpDriver;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether this worker serves such a listener; others are not opened here. */
  readonly serves: (listener: ListenerSpec) => boolean;
  readonly createPlaces: (spec: PoolSpec, snapshot: BalancerSnapshot) => Places;
  /** Another configuration of a pool that stays. */
  readonly applyPlaces?: (places: Places, spec: PoolSpec, snapshot: BalancerSnapshot) => void;
  readonly createUdpListener?: (spec: ListenerSpec, context: ListenerContext) => L4Listener;
  /** This worker's block of `BACKEND_COUNTERS`. */
  readonly backendCounters: Float64Array;
  /** This worker's counters of a listener. */
  readonly listenerSlots: (name: string) => Float64Array;
  /** Number of a listener in `limits`: the same in all workers. */
  readonly listenerNumber: (name: string) => number;
  readonly limits: ClientLimits;
  /** Text of a PEM file that the snapshot names. */
  readonly readPem: (file: string) => string;
  /** 48 octets, the same in all workers. */
  readonly ticketKeys: () => Uint8Array;
};

export type L4Stats = { readonly connections: Readonly<Record<string, number>>; readonly sockets: number };

export type L4 = {
  /**
   * Takes over another configuration, whole or not at all. Listeners that are new are opened by `open`.
   * @throws RhumbError RHUMB_BALANCER_CERTIFICATE
   */
  apply(snapshot: BalancerSnapshot): void;
  /** @returns the port. Rejects with what the system says, an Error with `code` */
  open(listener: string, fd: number | undefined, at: ListenAddress): Promise<number>;
  /** Ends all connections at a backend: its time to drain is over. */
  stopBackend(row: number): void;
  /** Takes no new connections; resolves when all are over, at the latest after `drainMs`. */
  drain(drainMs: number): Promise<void>;
  stats(): L4Stats;
  /** Once every 50 to 100 ms. */
  tick(nowMs: number): void;
  close(): void;
};

type Served = { spec: ListenerSpec; readonly listener: L4Listener; connections(): number };

export function createL4(options: L4Options): L4 {
  const { driver, clock, log } = options;
  let snapshot: BalancerSnapshot | undefined;
  const pools = new Map<string, Places>();
  const listeners = new Map<string, Served>();
  /** Gone from the configuration; their connections finish. */
  const leaving = new Set<Served>();

  const contextsOf = ({ certificates }: ListenerSpec): TlsContexts =>
    createTlsContexts(
      certificates.map(({ certFile, keyFile }) => ({
        name: certFile,
        cert: options.readPem(certFile),
        key: options.readPem(keyFile),
      })),
      options.ticketKeys(),
    );

  function create(spec: ListenerSpec): Served {
    const context: ListenerContext = {
      clock,
      log,
      places: (pool) => pools.get(snapshot!.pools[pool]!.name)!,
      slots: options.listenerSlots(spec.name),
      backendCounters: options.backendCounters,
      limits: options.limits,
      listener: options.listenerNumber(spec.name),
    };
    if (spec.protocol === "udp") {
      const listener = options.createUdpListener?.(spec, context);
      if (listener === undefined) throw new Error(`This worker serves no UDP, which ${spec.name} needs`);
      return { spec, listener, connections: () => 0 };
    }
    const listener = createTcpListener({ spec, context, driver, contextsOf });
    return { spec, listener, connections: listener.connections };
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
      const served = next.listeners.filter(options.serves);
      for (const spec of served) if (spec.protocol === "tls") contextsOf(spec); // throws before anything has changed
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
    stopBackend(row) {
      for (const { listener } of all()) listener.stopBackend(row);
    },
    async drain(drainMs) {
      for (const [name, served] of [...listeners]) {
        listeners.delete(name);
        leaving.add(served);
      }
      await Promise.all([...leaving].map(({ listener }) => listener.drain(drainMs)));
    },
    stats: () => ({
      connections: Object.fromEntries(
        [...listeners.values()].map(({ spec, connections }) => [spec.name, connections()]),
      ),
      sockets: driver.open(),
    }),
    tick(nowMs) {
      for (const places of pools.values()) places.tick(nowMs);
      for (const { listener } of all()) listener.tick(nowMs);
    },
    close() {
      for (const { spec, listener } of all()) if (spec.protocol === "udp") void listener.drain(0);
      for (const places of pools.values()) places.close();
      driver.close();
    },
  };
}

/** Whether a listener can go on with the sockets that it has. */
const isSameSocket = (a: ListenerSpec, b: ListenerSpec): boolean =>
  a.protocol === b.protocol && a.listen.address === b.listen.address && a.listen.port === b.listen.port;
