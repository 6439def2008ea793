/**
 * DNS over TCP (RFC 7766, RFC 9210): framing, order, and every limit that keeps strangers from using us up.
 *
 * Owns:    the listening socket and its connections. A connection is always under exactly one time limit: idle, in the
 *          middle of a message, or not reading what we sent.
 * Never:   knows DNS beyond handing octets to `respond`. Faults of a peer end its connection and nothing else.
 * @module
 */
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import { createDeadlines } from "#dns/transport/deadlines.ts";
import { readSource } from "#dns/transport/source-address.ts";
import { createFrameReader, type FrameReader } from "#dns/transport/tcp-frames.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { type Client, createClient, type Respond, TRANSPORT } from "#state/respond.ts";
import type { ListenAddress, TcpLimits } from "#state/snapshot.ts";

const LENGTH_OCTETS = 2;
const MAX_MESSAGE_OCTETS = 65_535;
/** A DNS header (RFC 1035 §4.1.1); who announces less does not speak DNS. */
const MIN_MESSAGE_OCTETS = 12;
const BACKLOG = 1_024;

export type TcpTransport = {
  readonly port: number;
  connections(): number;
  /** New limits for connections from now on, and for those that are open as far as they can still be met. */
  setLimits(limits: TcpLimits): void;
  /** Stops listening, lets answers under way leave for at most `drainMs`, then ends what is left. */
  close(options: { drainMs: number }): Promise<void>;
};

/** Connections over all listeners of one process: limits "in all" and "per client" hold across addresses. */
export type TcpCensus = { total: number; readonly perClient: Map<string, number> };
export const createTcpCensus = (): TcpCensus => ({ total: 0, perClient: new Map() });

type Connection = {
  readonly socket: Socket;
  readonly client: Client;
  readonly frames: FrameReader;
  /** Answers handed to the socket that the kernel has not taken yet. */
  inFlight: number;
  waitsFor: "idle" | "message" | "unread";
  /** No more queries are read: the peer ended its side, or sent garbage. What was answered still leaves. */
  isClosing: boolean;
};

/** Counts all of an IPv6 /64 as one client: whoever has one address of it has all of them. */
const clientKey = (client: Client): string =>
  Buffer.from(client.address.subarray(0, client.isIpv6 ? 8 : 4)).toString("latin1") + (client.isIpv6 ? "6" : "4");

/** @throws (rejects with) the system's error, such as EADDRINUSE */
export async function openTcp(options: {
  listen: ListenAddress;
  respond: Respond;
  counters: Float64Array;
  limits: TcpLimits;
  clock: Clock;
  census?: TcpCensus;
}): Promise<TcpTransport> {
  const { listen, respond, counters, clock } = options;
  const census = options.census ?? createTcpCensus();
  let limits = options.limits;
  const connections = new Set<Connection>();
  const out = new Uint8Array(LENGTH_OCTETS + MAX_MESSAGE_OCTETS);
  const outMessage = out.subarray(LENGTH_OCTETS);
  let isDraining = false;

  const timeOut = (connection: Connection): void => {
    counters[DNS_COUNTER.tcp_timeouts]! += 1;
    connection.socket.destroy();
  };
  const deadlines = {
    idle: createDeadlines<Connection>(clock, limits.idleMs, timeOut),
    message: createDeadlines<Connection>(clock, limits.messageMs, timeOut),
    unread: createDeadlines<Connection>(clock, limits.idleMs, timeOut),
  };

  /**
   * Puts the connection under the limit of what it waits for. Time that runs already goes on, unless there was progress:
   * a query more, or an answer that left. Octets alone are none, so nothing is gained by dripping.
   */
  function watch(connection: Connection, hasProgressed: boolean): void {
    const isInside = connection.frames.isInsideMessage() && !connection.isClosing;
    const waitsFor = connection.inFlight > 0 ? "unread" : isInside ? "message" : "idle";
    if (waitsFor === connection.waitsFor && !hasProgressed) return;
    deadlines[connection.waitsFor].stop(connection);
    connection.waitsFor = waitsFor;
    deadlines[waitsFor].start(connection);
  }

  function answer(connection: Connection, message: Uint8Array): void {
    const length =
      message.length < MIN_MESSAGE_OCTETS ? 0 : respond(message, message.length, connection.client, outMessage);
    if (length === 0) {
      connection.isClosing = true;
      return;
    }
    out[0] = length >>> 8;
    out[1] = length;
    connection.inFlight++;
    // Length and message in one write (RFC 7766 §8), from a copy: the socket may hold on to it.
    connection.socket.write(out.slice(0, LENGTH_OCTETS + length), () => {
      connection.inFlight--;
      proceed(connection, true);
    });
  }

  /** Whether the peer has to read before more of its queries are. */
  const isFull = ({ inFlight, socket }: Connection): boolean =>
    inFlight >= limits.maxInFlight || socket.writableLength >= limits.maxOutputOctets;

  /** Answers all whole messages that have come in, as far as the limits let it. */
  function proceed(connection: Connection, hasProgressed: boolean): void {
    const { socket, frames } = connection;
    if (socket.destroyed) return;
    socket.cork();
    while (!connection.isClosing && !isFull(connection)) {
      const message = frames.next();
      if (!message) break;
      hasProgressed = true;
      answer(connection, message);
    }
    socket.uncork();
    if (frames.isEnded && !frames.hasWholeMessage()) connection.isClosing = true;
    if (connection.isClosing) {
      socket.resume(); // a peer that is being closed may still be sending: its octets are read and dropped
      if (!socket.writableEnded) socket.end();
    } else if (isFull(connection)) socket.pause();
    else {
      socket.resume();
      if (isDraining && connection.inFlight === 0 && !frames.isInsideMessage()) socket.destroySoon();
    }
    watch(connection, hasProgressed);
  }

  function accept(socket: Socket): void {
    socket.on("error", () => socket.destroy()); // resets and the like: the peer's affair
    const client = createClient();
    client.transport = TRANSPORT.tcp;
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy(); // gone before it was accepted
      return;
    }
    readSource(remoteAddress, remoteAddress.includes(":"), client);
    client.port = remotePort;
    const key = clientKey(client);
    const ofClient = census.perClient.get(key) ?? 0;
    // At the ceiling whoever has been idle longest makes room: an idle connection costs its owner nothing to reopen.
    const evicted =
      census.total >= limits.maxConnections && ofClient < limits.maxConnectionsPerClient
        ? deadlines.idle.oldest()
        : undefined;
    if (ofClient >= limits.maxConnectionsPerClient || (census.total >= limits.maxConnections && !evicted)) {
      counters[DNS_COUNTER.tcp_rejected]! += 1;
      socket.destroy();
      return;
    }
    if (evicted) {
      release(evicted);
      timeOut(evicted);
    }
    const connection: Connection = {
      socket,
      client,
      frames: createFrameReader(),
      inFlight: 0,
      waitsFor: "idle",
      isClosing: false,
    };
    connections.add(connection);
    counters[DNS_COUNTER.tcp_connections]! += 1;
    census.total++;
    census.perClient.set(key, (census.perClient.get(key) ?? 0) + 1);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      if (connection.isClosing) return;
      connection.frames.push(chunk);
      proceed(connection, false);
    });
    socket.on("end", () => {
      connection.frames.isEnded = true;
      proceed(connection, false);
    });
    socket.on("close", () => release(connection));
    deadlines.idle.start(connection);
  }

  function release(connection: Connection): void {
    if (!connections.delete(connection)) return;
    deadlines[connection.waitsFor].stop(connection);
    const key = clientKey(connection.client);
    const left = (census.perClient.get(key) ?? 1) - 1;
    if (left > 0) census.perClient.set(key, left);
    else census.perClient.delete(key);
    census.total--;
  }

  const server: Server = createServer({ allowHalfOpen: true }, accept);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const ipv6Only = isIPv6(listen.address);
    server.listen({ host: listen.address, port: listen.port, ipv6Only, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", () => {
    counters[DNS_COUNTER.tcp_rejected]! += 1; // an accept that failed, such as for want of file descriptors
  });
  const bound = server.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : listen.port;

  return {
    port,
    connections: () => connections.size,
    setLimits(next) {
      limits = next;
      deadlines.idle.setLimit(next.idleMs);
      deadlines.message.setLimit(next.messageMs);
      deadlines.unread.setLimit(next.idleMs);
    },
    async close({ drainMs }) {
      isDraining = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) {
        if (connection.waitsFor === "idle") connection.socket.destroySoon();
      }
      const timer = clock.after(drainMs, () => {
        for (const { socket } of connections) socket.destroy();
      });
      await closed;
      timer.cancel();
    },
  };
}
