/**
 * What tests of the UDP listener share: backends and clients over real sockets, a pool with its real places, a clock that
 * is moved by hand.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { after } from "node:test";
import { createAlgorithm } from "#balance/table.ts";
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createUdpListener } from "#l4/udp/udp-listener.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import { createClientLimitsMemory, type SharedClientLimits } from "#pool/client-limits.ts";
import type { Places } from "#pool/place.ts";
import { createPlaces } from "#pool/places.ts";
import {
  BACKEND_COUNTER,
  type BackendCounter,
  backendCounter,
  createBackendCounters,
  createBackendTable,
} from "#state/backend-table.ts";
import type { ListenerSpec, PoolSpec } from "#state/balancer.ts";
import { createCounterSlots, LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import { activeAt, publish } from "../../pool/pool-fixture.ts";
import { backendAt, listenerOf, poolOf } from "../../pool/specs.ts";

/** What is waited for longer than this does not come any more, and the test has failed. */
const PATIENCE_MS = 8_000;

/** All that is open; a test that fails leaves something behind, which would keep the process alive. */
const opened = new Set<Socket>();
const listeners = new Set<Listener>();
after(async () => {
  for (const listener of listeners) await listener.drain(0);
  for (const socket of opened) socket.unref();
});
function keep(socket: Socket): Socket {
  opened.add(socket);
  return socket.once("close", () => opened.delete(socket));
}

export type Backend = {
  readonly socket: Socket;
  readonly port: number;
  /** Datagrams that came, as text, with who sent them. */
  readonly heard: { text: string; from: RemoteInfo }[];
};
/** Answers each datagram with `<name>:<datagram>`, unless `reply` says otherwise. */
export async function openBackend(
  name: string,
  reply: (datagram: Buffer) => readonly Buffer[] = (datagram) => [Buffer.concat([Buffer.from(`${name}:`), datagram])],
  host = "127.0.0.1",
): Promise<Backend> {
  const socket = keep(createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: 8 * 1_048_576 }));
  socket.bind(0, host);
  await once(socket, "listening");
  const heard: Backend["heard"] = [];
  socket.on("message", (datagram, from) => {
    heard.push({ text: datagram.subarray(0, 64).toString(), from });
    for (const each of reply(datagram)) socket.send(each, from.port, from.address);
  });
  return { socket, port: socket.address().port, heard };
}

export type Client = {
  readonly socket: Socket;
  send(datagram: string | Buffer): void;
  /** The next datagram that comes, as text. */
  next(): Promise<string>;
  ask(datagram: string | Buffer): Promise<string>;
  close(): void;
};
export async function openClient(port: number, host = "127.0.0.1", local: string = host): Promise<Client> {
  const socket = keep(createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: 8 * 1_048_576 }));
  socket.bind(0, local);
  await once(socket, "listening");
  socket.connect(port, host);
  await once(socket, "connect");
  socket.on("error", () => {});
  const arrived: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  socket.on("message", (datagram) => {
    const text = datagram.toString("latin1");
    const next = waiting.shift();
    if (next) next(text);
    else arrived.push(text);
  });
  const client: Client = {
    socket,
    send: (datagram) => socket.send(datagram),
    next: () =>
      new Promise((resolve, reject) => {
        const text = arrived.shift();
        if (text !== undefined) {
          resolve(text);
          return;
        }
        const timer = setTimeout(() => reject(new Error("No datagram came")), PATIENCE_MS);
        waiting.push((next) => {
          clearTimeout(timer);
          resolve(next);
        });
      }),
    ask(datagram) {
      client.send(datagram);
      return client.next();
    },
    close: () => socket.close(),
  };
  return client;
}

export const udpSpec = (changes: Partial<ListenerSpec> = {}): ListenerSpec =>
  listenerOf({ name: "dns", listen: { address: "127.0.0.1", port: 0 }, protocol: "udp", ...changes });

export type Bed = {
  readonly clock: ManualClock;
  readonly listener: Listener;
  readonly port: number;
  readonly context: ListenerContext;
  readonly places: Places;
  readonly limits: SharedClientLimits;
  client(local?: string): Promise<Client>;
  /** Moves the clock and tells the listener and the pool. */
  pass(ms: number): void;
  counter(name: ListenerCounter): number;
  backendCounter(row: number, name: BackendCounter): number;
  /** Places taken at a backend. */
  active(row: number): number;
  /** Resolves once `isTrue`; looks after each turn of the event loop. */
  until(isTrue: () => boolean): Promise<void>;
  close(): Promise<void>;
};

export async function createBed(
  backends: readonly Backend[],
  options: { listener?: Partial<ListenerSpec>; pool?: Partial<PoolSpec>; backend?: object; host?: string } = {},
): Promise<Bed> {
  const host = options.host ?? "127.0.0.1";
  const pool = poolOf(
    backends.map(({ port }, row) => backendAt(row, { key: `b${row}`, address: host, port, ...options.backend })),
    { algorithm: "round_robin", ...options.pool },
  );
  const table = createBackendTable(backends.length);
  publish(table, Object.fromEntries(backends.map((_, row) => [row, "active" as const])));
  const backendCounters = createBackendCounters(backends.length);
  const clock = createManualClock();
  const places = createPlaces({
    spec: pool,
    table,
    counters: backendCounters,
    zone: undefined,
    clock,
    rng: createSeededRng(7),
    sticky: undefined,
    createAlgorithm,
  });
  const limits = createClientLimitsMemory();
  const context: ListenerContext = {
    clock,
    log: silentLog,
    places: () => places,
    slots: createCounterSlots(LISTENER_COUNTERS.length),
    backendCounters,
    limits,
    contextsOf: () => ({}) as never,
    listener: 0,
  };
  const listener = createUdpListener({ spec: udpSpec(options.listener), context });
  listeners.add(listener);
  const port = await listener.open(undefined, { address: host, port: 0 });
  const clients: Client[] = [];
  return {
    clock,
    listener,
    port,
    context,
    places,
    limits,
    async client(local = host) {
      const client = await openClient(port, host, local);
      clients.push(client);
      return client;
    },
    pass(ms) {
      clock.advance(ms);
      listener.tick(clock.monotonicMs());
      places.tick(clock.monotonicMs());
    },
    counter: (name) => context.slots[LISTENER_COUNTER[name]]!,
    backendCounter: (row, name) => backendCounters[backendCounter(row, BACKEND_COUNTER[name])]!,
    active: (row) => activeAt(table, row),
    async until(isTrue) {
      for (const untilMs = performance.now() + PATIENCE_MS; !isTrue(); ) {
        if (performance.now() > untilMs) throw new Error(`Never came true: ${isTrue}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async close() {
      listeners.delete(listener);
      await listener.drain(0);
      places.close();
      for (const client of clients) client.close();
      for (const { socket } of backends) if (opened.has(socket)) socket.close();
    },
  };
}
