/**
 * What tests of TCP stand on: bound sockets, peers on node:net that keep what they got, and a bed that a driver leaves empty.
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, BoundSocket, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as tlsConnect } from "node:tls";
import { Worker } from "node:worker_threads";
import type {
  ConnectFault,
  DriverListener,
  Relay,
  RelayEnd,
  RelayOptions,
  TcpConn,
  TcpDriver,
  TlsTerms,
} from "#net/driver.ts";

/** Drivers own the fd; the object must stay, so that nothing closes the number under them. */
const bound: BoundSocket[] = [];

export function bindTcp(host = "127.0.0.1", port = 0): { fd: number; port: number } {
  const socket = new BoundSocket({ host, port, reusePort: true });
  bound.push(socket);
  return { fd: socket.fd(), port: (socket.address() as AddressInfo).port };
}

/** Resolves once `holds` does. Nothing tells of it by an event, so it is asked again and again; not for ever. */
export async function until(holds: () => boolean): Promise<void> {
  for (let asked = 0; !holds(); asked++) {
    assert.ok(asked < 10_000, `never came to hold: ${String(holds)}`);
    await sleep(2);
  }
}
/** Resolves when a socket is closed, in whichever way. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.on("close", () => resolve());
  });

/** Resolves with the value once it has not changed for a while. */
export async function settled(read: () => number): Promise<number> {
  for (let last = read(), equal = 0; ; ) {
    await sleep(20);
    const now = read();
    equal = now === last ? equal + 1 : 0;
    if (equal === 20) return now;
    last = now;
  }
}

/** Octets that differ from place to place, the same for the same seed. */
export function pattern(octets: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(octets);
  let state = seed | 1;
  for (let at = 0; at < octets; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** How a peer saw its connection end: in order, or by RST. */
export type Ending = "fin" | "reset";

/** The other end of a connection. Reads all the time, unless `socket.pause()`. */
export type Peer = {
  readonly socket: Socket;
  readonly chunks: Buffer[];
  /** How the other side ended its half. */
  readonly ending: Promise<Ending>;
  octets(): number;
  /** All octets so far, once there are at least so many. */
  received(octets: number): Promise<Buffer>;
  /** As text, until the other side ended in order. */
  whole(): Promise<string>;
};

export function peerOf(socket: Socket): Peer {
  let octets = 0;
  let wake: (() => void) | undefined;
  const chunks: Buffer[] = [];
  const ending = new Promise<Ending>((resolve) => {
    socket.once("end", () => resolve("fin"));
    socket.on("error", () => resolve("reset"));
  });
  socket.on("data", (chunk: Buffer) => {
    octets += chunk.length;
    chunks.push(chunk);
    wake?.();
  });
  socket.setNoDelay(true);
  return {
    socket,
    chunks,
    ending,
    octets: () => octets,
    async received(wanted) {
      while (octets < wanted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return Buffer.concat(chunks);
    },
    async whole() {
      assert.equal(await ending, "fin");
      return Buffer.concat(chunks).toString();
    },
  };
}

export type Backend = { readonly port: number; readonly server: Server; next(): Promise<Peer> };

/** One after another: what was pushed, or a promise of it. */
export function createQueue<T>(): { push(item: T): void; next(): Promise<T>; readonly size: number } {
  const items: T[] = [];
  const waiting: ((item: T) => void)[] = [];
  return {
    push(item) {
      const taker = waiting.shift();
      if (taker) taker(item);
      else items.push(item);
    },
    next: () =>
      items.length > 0 ? Promise.resolve(items.shift()!) : new Promise<T>((resolve) => waiting.push(resolve)),
    get size() {
      return items.length;
    },
  };
}

/** A listener whose accept queue is full: the kernel drops what else would connect. */
export async function openBlackHole(): Promise<{ port: number; close(): Promise<void> }> {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const server = require("node:net").createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
     });`,
    { eval: true },
  );
  const [port] = (await once(worker, "message")) as [number];
  await sleep(50); // until the thread sleeps; sooner, it would take the connections that are to fill the queue
  const fillers: Socket[] = [];
  for (let filled = 0; filled < 2; filled++) {
    const filler = connect(port, "127.0.0.1");
    filler.on("error", () => {});
    await once(filler, "connect");
    fillers.push(filler);
  }
  return {
    port,
    async close() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}

const NO_LIMITS: RelayOptions = { head: undefined, idleMs: 0, lifetimeMs: 0, halfCloseMs: 0 };

export type Relayed = {
  readonly client: Peer;
  readonly server: Peer;
  readonly relay: Relay;
  readonly end: Promise<RelayEnd>;
  /** How often `firstOctet` came, and `done`. */
  readonly calls: { firstOctet: number; done: number };
};

/** A driver with its world; `close()` fails if the driver still holds something when all others have let go. */
export type Bed = {
  readonly driver: TcpDriver;
  listen(host?: string, backlog?: number): { port: number; listener: DriverListener; next(): Promise<TcpConn> };
  backend(host?: string): Promise<Backend>;
  dial(port: number, host?: string): Promise<Peer>;
  /** A client's connection and the driver's end of it. */
  accepted(host?: string): Promise<{ client: Peer; conn: TcpConn }>;
  connect(port: number, timeoutMs?: number, address?: string): Promise<TcpConn | ConnectFault>;
  /** The driver's connection to a backend, and the backend's end of it. */
  upstream(host?: string): Promise<{ server: Peer; conn: TcpConn }>;
  relay(client: TcpConn, upstream: TcpConn, options?: Partial<RelayOptions>): Omit<Relayed, "client" | "server">;
  relayed(options?: Partial<RelayOptions>, host?: string): Promise<Relayed>;
  close(): Promise<void>;
  /** After a failure: leaves nothing that keeps the process alive. */
  abandon(): void;
};

/** TLS on top of a connection; what resets it resets the connection. */
async function secure(tcp: Socket): Promise<Socket> {
  const socket = tlsConnect({ socket: tcp, rejectUnauthorized: false });
  socket.resetAndDestroy = () => {
    tcp.resetAndDestroy();
    return socket;
  };
  await once(socket, "secureConnect");
  return socket;
}

/** @param tls clients speak TLS; backends do not */
export function createBed(driver: TcpDriver, tls?: TlsTerms): Bed {
  const loose = new Set<TcpConn>();
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const listeners = new Set<DriverListener>();
  const peer = (socket: Socket): Peer => {
    sockets.add(socket);
    return peerOf(socket);
  };

  const bed: Bed = {
    driver,
    listen(host = "127.0.0.1", backlog = 511) {
      const { fd, port } = bindTcp(host);
      const conns = createQueue<TcpConn>();
      const listener = driver.listen(fd, backlog, (conn) => {
        loose.add(conn);
        if (tls === undefined) conns.push(conn);
        else driver.startTls!(conn, tls, (agreement) => agreement && conns.push(conn));
      });
      listeners.add(listener);
      return { port, listener, next: conns.next };
    },
    async backend(host = "127.0.0.1") {
      const peers = createQueue<Peer>();
      const server = createServer({ allowHalfOpen: true }, (socket) => peers.push(peer(socket)));
      servers.push(server);
      await once(server.listen(0, host), "listening");
      return { port: (server.address() as AddressInfo).port, server, next: peers.next };
    },
    async dial(port, host = "127.0.0.1") {
      const socket = connect({ port, host, allowHalfOpen: true });
      if (tls === undefined) {
        const made = peer(socket);
        await once(socket, "connect");
        return made;
      }
      await once(socket, "connect");
      return peer(await secure(socket));
    },
    async accepted(host) {
      const listener = bed.listen(host);
      const client = await bed.dial(listener.port, host);
      return { client, conn: await listener.next() };
    },
    connect: (port, timeoutMs = 10_000, address = "127.0.0.1") =>
      new Promise((resolve) => {
        driver.connect({ address, port }, timeoutMs, (result) => {
          if (typeof result !== "string") loose.add(result);
          resolve(result);
        });
      }),
    async upstream(host) {
      const backend = await bed.backend(host);
      const conn = await bed.connect(backend.port, undefined, host);
      assert.ok(typeof conn !== "string", `connect: ${String(conn)}`);
      return { server: await backend.next(), conn };
    },
    relay(client, upstream, options) {
      loose.delete(client);
      loose.delete(upstream);
      const calls = { firstOctet: 0, done: 0 };
      let finish: (end: RelayEnd) => void;
      const end = new Promise<RelayEnd>((resolve) => {
        finish = resolve;
      });
      const relay = driver.relay(
        client,
        upstream,
        { ...NO_LIMITS, ...options },
        (result) => {
          calls.done++;
          finish(result);
        },
        () => calls.firstOctet++,
      );
      return { relay, end, calls };
    },
    async relayed(options, host) {
      const [front, back] = [await bed.accepted(host), await bed.upstream(host)];
      return { client: front.client, server: back.server, ...bed.relay(front.conn, back.conn, options) };
    },
    async close() {
      for (const conn of loose) conn.reset();
      for (const listener of listeners) listener.close();
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      await until(() => driver.open() === 0);
      driver.close();
    },
    abandon() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      driver.close();
    },
  };
  return bed;
}
