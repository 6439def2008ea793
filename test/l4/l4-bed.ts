/**
 * The whole way of a connection: clients, a balancer's worker with real places on a real driver, and backends on
 * loopback. At its end everything that was taken must have been given back.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { TestContext } from "node:test";
import { createAlgorithm } from "#balance/table.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createTcpListener } from "#l4/tcp/serve-tcp.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createListenerSet, type ListenerSet } from "#net/listener-set.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { createClientLimitsMemory, type SharedClientLimits } from "#pool/client-limits.ts";
import { createPlaces } from "#pool/places.ts";
import {
  BACKEND_COUNTER,
  type BackendCounter,
  backendCounter,
  createBackendCounters,
  createBackendTable,
} from "#state/backend-table.ts";
import type { BackendSpec, BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import { createTlsContexts } from "#tls/contexts.ts";
import { bindTcp, createQueue, type Ending, type Peer, peerOf, until } from "../net/bed.ts";
import { activeAt, publish, wordAt } from "../pool/pool-fixture.ts";
import { backendAt, balancerOf, listenerOf, poolOf } from "../pool/specs.ts";

const ROWS = 16;

/** A backend whose port is known before, and that can be away. */
export type TestBackend = {
  readonly spec: BackendSpec;
  /** Those who came, in their order. */
  next(): Promise<Peer>;
  readonly peers: ReadonlySet<Socket>;
  /** Ends the listener, and all connections by RST. */
  kill(): void;
};

export type L4Bed = {
  readonly l4: ListenerSet;
  readonly driver: TcpDriver;
  readonly table: Int32Array;
  readonly limits: SharedClientLimits;
  readonly backends: readonly TestBackend[];
  readonly port: number;
  /** Serves another configuration; what is not named stays as it was. */
  apply(changes: {
    pool?: Partial<PoolSpec>;
    /** Names of the pools that stay, in their order. */
    keepPools?: readonly string[];
    listener?: Partial<ListenerSpec>;
    listeners?: readonly ListenerSpec[];
  }): void;
  dial(from?: string): Promise<Peer>;
  /** How a connection ends that gets nothing; it may be over before it is known to stand. */
  ending(from?: string): Promise<Ending>;
  /** A connection and the backend's end of it. */
  through(backend?: number): Promise<{ client: Peer; server: Peer }>;
  count(counter: ListenerCounter): number;
  backendCount(row: number, counter: BackendCounter): number;
  active(row: number): number;
  queued(): number;
};

export type L4BedOptions = {
  readonly backends?: number;
  readonly pool?: Partial<PoolSpec>;
  /** Of all pools, if there are several; the backends then go one to each. */
  readonly pools?: readonly Partial<PoolSpec>[];
  readonly listener?: Partial<ListenerSpec>;
  readonly driver?: TcpDriver;
  readonly onConnection?: (socket: Socket, backend: number) => void;
  readonly pems?: Readonly<Record<string, string>>;
  readonly ticketSecret?: Uint8Array;
};

async function openBackend(row: number, onConnection?: (socket: Socket, row: number) => void): Promise<TestBackend> {
  const arrived = createQueue<Peer>();
  const peers = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    peers.add(socket);
    socket.on("close", () => peers.delete(socket));
    socket.on("error", () => {});
    if (onConnection) onConnection(socket, row);
    else arrived.push(peerOf(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    spec: backendAt(row, { address: "127.0.0.1", port, key: `127.0.0.1:${port}` }),
    next: arrived.next,
    peers,
    kill() {
      server.close();
      for (const socket of peers) socket.resetAndDestroy();
    },
  };
}

export async function openL4(t: TestContext, options: L4BedOptions = {}): Promise<L4Bed> {
  const driver = options.driver ?? createNetDriver();
  const backends = await Promise.all(
    Array.from({ length: options.backends ?? 1 }, (_, row) => openBackend(row, options.onConnection)),
  );
  const table = createBackendTable(ROWS);
  publish(table, Object.fromEntries(backends.map((_, row) => [row, "active"] as const)));
  const limits = createClientLimitsMemory();
  const backendCounters = createBackendCounters(ROWS);
  const slots = new Map<string, Float64Array>();
  const slotsOf = (name: string): Float64Array => {
    const known = slots.get(name) ?? createCounterSlots(LISTENER_COUNTERS.length);
    slots.set(name, known);
    return known;
  };
  const rng = createSeededRng(1);
  const textOf = (file: string): string => options.pems?.[file] ?? assert.fail(`no text for ${file}`);
  const l4 = createListenerSet({
    clock: systemClock,
    log: silentLog,
    serves: () => true,
    createPlaces: (spec, { zone }) =>
      createPlaces({
        spec,
        table,
        counters: backendCounters,
        zone,
        clock: systemClock,
        rng,
        sticky: undefined,
        createAlgorithm,
      }),
    backendCounters,
    listenerSlots: slotsOf,
    listenerNumber: () => 0,
    limits,
    createListener: (spec, context) => createTcpListener({ spec, context, driver }),
    contextsOf: ({ name, certificates }) =>
      createTlsContexts({
        listener: name,
        certificates: certificates.map(({ certFile, keyFile }) => ({
          name: certFile,
          cert: textOf(certFile),
          key: textOf(keyFile),
        })),
        tickets: { secret: options.ticketSecret ?? new Uint8Array(48), rotateMs: 3_600_000 },
      }),
  });

  const { fd, port } = bindTcp();
  const listen = { address: "127.0.0.1", port };
  let pools = options.pools
    ? options.pools.map((pool, index) => poolOf([backends[index]!.spec], { name: `pool${index}`, ...pool }))
    : [
        poolOf(
          backends.map(({ spec }) => spec),
          options.pool,
        ),
      ];
  let listeners: readonly ListenerSpec[] = [listenerOf({ listen, ...options.listener })];
  const snapshot = (): BalancerSnapshot => balancerOf({ listeners, pools });
  l4.apply(snapshot());
  await l4.open("front", fd, listen);
  const ticking = setInterval(() => l4.tick(systemClock.monotonicMs()), 50);
  const clients = new Set<Socket>();
  const front = slotsOf("front");
  const start = (from: string | undefined): Peer => {
    const source = from === undefined ? {} : { localAddress: from };
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...source });
    clients.add(socket);
    return peerOf(socket);
  };
  const letGo = (): void => {
    for (const socket of clients) socket.destroy();
    for (const backend of backends) backend.kill();
  };

  t.after(async () => {
    try {
      letGo();
      await l4.drain(0);
      await until(() => driver.open() === 0);
      for (const { spec } of backends) assert.equal(activeAt(table, spec.target), 0, `places at ${spec.target}`);
      assert.equal(wordAt(table, 0, "queued"), 0);
      assert.equal(limits.connections(0), 0);
      for (const counters of slots.values()) assert.equal(counters[LISTENER_COUNTER.active], 0);
    } finally {
      clearInterval(ticking);
      l4.close();
      driver.close();
    }
  });

  const bed: L4Bed = {
    l4,
    driver,
    table,
    limits,
    backends,
    port,
    apply(changes) {
      if (changes.pool) pools = [{ ...pools[0]!, ...changes.pool }, ...pools.slice(1)];
      if (changes.keepPools) pools = changes.keepPools.map((name) => pools.find((pool) => pool.name === name)!);
      if (changes.listeners) listeners = changes.listeners;
      else if (changes.listener) listeners = [{ ...listeners[0]!, ...changes.listener }];
      l4.apply(snapshot());
    },
    async dial(from) {
      const peer = start(from);
      await once(peer.socket, "connect");
      return peer;
    },
    ending: (from) => start(from).ending,
    async through(backend = 0) {
      const client = await bed.dial();
      return { client, server: await backends[backend]!.next() };
    },
    count: (counter) => front[LISTENER_COUNTER[counter]]!,
    backendCount: (row, counter) => backendCounters[backendCounter(row, BACKEND_COUNTER[counter])]!,
    active: (row) => activeAt(table, row),
    queued: () => wordAt(table, 0, "queued"),
  };
  return bed;
}
