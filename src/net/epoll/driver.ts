/**
 * The fast TCP driver: one epoll loop over system calls.
 *
 * Owns:    all sockets of its thread, their place in a table, their time-outs. `turn()` is the loop's body: whoever runs
 *          the thread calls it again and again, and lets Node's event loop have its turn in between.
 * Never:   allocates per event, blocks elsewhere than in `turn()`, calls back outside of it.
 * Units:   steady ms.
 * @module
 */
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import type { Clock } from "#base/clock.ts";
import { systemError } from "#base/native/load.ts";
import { createWheel } from "#base/wheel.ts";
import { connectFault } from "#net/connect-fault.ts";
import type { ConnectFault, TcpAddress, TcpConn, TcpDriver } from "#net/driver.ts";
import { createBufferPool } from "#net/epoll/buffers.ts";
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  type EpollCalls,
  openEventDescriptor,
} from "#net/epoll/load.ts";
import { createPipes } from "#net/epoll/pipes.ts";
import { createPoller } from "#net/epoll/poller.ts";
import { createPreambles } from "#net/epoll/preamble.ts";
import { createPump, noteReadable } from "#net/epoll/pump.ts";
import { createRelays } from "#net/epoll/relays.ts";
import { DOING, type Doing, EpollSocket, type SocketOwner } from "#net/epoll/socket.ts";
import { createStreams } from "#net/epoll/stream.ts";
import { createSockets } from "#net/epoll/system.ts";
import { createHandshakes } from "#net/epoll/tls/handshake.ts";
import type { OpensslCalls } from "#net/epoll/tls/openssl.ts";
import { createTransport } from "#net/epoll/transport.ts";

/** Everything, once: no call is needed to begin or to stop reading or writing. */
const SOCKET_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
/** Of one listener, until the others get their turn. */
const ACCEPTS_PER_TURN = 64;
/** No descriptor or no memory for another connection: the queue waits for so long. */
const ACCEPT_PAUSE_MS = 100;
/** Waits of one turn, while nothing but octets moves. */
const WAITS_PER_TURN = 32;
/** The first place is that of the descriptor that wakes the loop. */
const WAKE_SLOT = 0;

const errno = constants.errno;
/** Errors of a connection that waited, or nothing at all: the next one may be well (accept(2)). */
const PASSING: ReadonlySet<number> = new Set([errno.EINTR, errno.ECONNABORTED, errno.EPROTO]);
/** @param number of the system's error, as errno(3) has it */
const faultOf = (number: number): ConnectFault => connectFault(getSystemErrorName(-number)) ?? "other";
const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

export type EpollDriver = TcpDriver & {
  /**
   * Waits up to `maxWaitMs` for something to happen, and handles it. Returns soon after something was called back, so
   * that promises and messages which come of it get their turn; while only octets move, be it between conns or to and from
   * owners, it goes on for `maxWaitMs`.
   * @returns events handled
   */
  turn(maxWaitMs: number): number;
  /** Ends this turn after the events in hand: something is awaited of the event loop. */
  endTurn(): void;
  /** Of an eventfd: writing eight octets to it, from any thread, ends a wait (`wake.ts`). */
  readonly wakeDescriptor: number;
  /** What it holds, for tests of what it lets go of. */
  held(): {
    readonly sockets: number;
    readonly buffers: number;
    readonly pipes: number;
    readonly timers: number;
    /** Sessions and contexts of OpenSSL. */
    readonly sessions: number;
    readonly contexts: number;
  };
};

/**
 * @param options.tls without it there is no `startTls`
 * @throws what the system says when there is no descriptor for it
 */
export function createEpollDriver(options: {
  readonly calls: EpollCalls;
  readonly tls?: OpensslCalls | undefined;
  readonly clock: Clock;
}): EpollDriver {
  const { calls, tls, clock } = options;
  const poller = createPoller(calls);
  const wakeDescriptor = openEventDescriptor(calls);
  poller.add(wakeDescriptor, EPOLLIN | EPOLLET, WAKE_SLOT, 0);
  const sockets = createSockets(calls);
  const transport = createTransport(calls, sockets, tls);
  const buffers = createBufferPool(calls);
  const pipes = createPipes(calls);
  let nowMs = clock.monotonicMs();
  const wheel = createWheel<EpollSocket>(nowMs, timeOut);

  const table: (EpollSocket | undefined)[] = [undefined];
  const generations: number[] = [0];
  const free: number[] = [];
  let open = 0;
  let isClosed = false;
  let hasCalledBack = false;
  let calledLater: (() => void)[] = [];
  let queue: EpollSocket[] = [];
  let served: EpollSocket[] = [];

  const relays = createRelays({
    wheel,
    buffers,
    nowMs: () => nowMs,
    clock,
    again,
    drop,
    calledBack() {
      hasCalledBack = true;
    },
    later: (call) => calledLater.push(call),
  });
  const pump = createPump({
    calls,
    sockets,
    transport,
    buffers,
    pipes,
    nowMs: () => nowMs,
    again,
    limits: relays.limits,
    tellFirstOctet(relay) {
      const { firstOctet } = relay;
      relay.firstOctet = undefined;
      hasCalledBack = true;
      firstOctet?.();
    },
    finish: relays.finish,
  });
  /** A preamble or a handshake is. */
  function over(socket: EpollSocket): void {
    socket.doing = DOING.resting;
    wheel.cancel(socket);
    hasCalledBack = true;
  }
  const preambles = createPreambles({ calls, transport, again, over });
  const handshakes =
    tls && createHandshakes({ calls: tls, read: (...of) => owner.read(...of), began: transport.began, over, drop });

  const streams = createStreams({
    calls,
    sockets,
    transport,
    buffers,
    again,
    arm: (socket, ms) => wheel.arm(socket, clock.monotonicMs() + ms),
    drop,
  });
  const { outbox } = streams;

  const owner: SocketOwner = {
    streams,
    read(socket, { maxOctets, timeoutMs }, look) {
      if (socket.doing !== DOING.resting && socket.doing !== DOING.reading) return;
      preambles.begin(socket, maxOctets, look);
      wheel.arm(socket, clock.monotonicMs() + timeoutMs);
    },
    stream(socket, to) {
      if (socket.doing !== DOING.resting && socket.doing !== DOING.reading && socket.doing !== DOING.streaming) return;
      wheel.cancel(socket);
      streams.begin(socket, to);
    },
    end(socket, isReset, last) {
      if (socket.doing === DOING.streaming) {
        if (isReset) drop(socket, true);
        else streams.close(socket, last);
        return;
      }
      // A socket that is relayed belongs to its relay.
      if (socket.doing !== DOING.resting && socket.doing !== DOING.reading && socket.doing !== DOING.shaking) return;
      if (last !== undefined) {
        const buffer = buffers.copy(last.length, last);
        transport.send(socket, buffer.address, last.length, 0);
        buffers.give(buffer);
      }
      drop(socket, isReset);
    },
    nameOf: (socket) => sockets.nameOf(socket.descriptor),
  };

  // ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns undefined when the kernel does not watch it; then it is closed */
  function add(
    descriptor: number,
    names: { readonly remote: TcpAddress; readonly local: TcpAddress | undefined },
    doing: Doing,
    events = SOCKET_EVENTS,
  ): EpollSocket | undefined {
    const slot = free.pop() ?? table.length;
    const generation = ((generations[slot] ?? 0) + 1) | 0;
    generations[slot] = generation;
    if (!poller.add(descriptor, events, slot, generation)) {
      sockets.reset(descriptor);
      table[slot] = undefined;
      free.push(slot);
      return undefined;
    }
    const socket = new EpollSocket(owner, descriptor, { slot, generation }, names, doing);
    table[slot] = socket;
    open++;
    return socket;
  }

  function drop(socket: EpollSocket, isReset: boolean): void {
    if (isReset) transport.reset(socket);
    else transport.close(socket);
    socket.doing = DOING.closed;
    wheel.cancel(socket);
    if (socket.pending !== undefined) buffers.give(socket.pending);
    if (socket.pipe !== undefined) pipes.give(socket.pipe, socket.pendingOctets === 0);
    if (socket.streaming !== undefined) outbox.discard(socket.streaming);
    socket.pending = undefined;
    socket.pipe = undefined;
    socket.rest = undefined;
    socket.look = undefined;
    socket.handshake = undefined;
    table[socket.slot] = undefined;
    free.push(socket.slot);
    open--;
  }

  // ── the loop ───────────────────────────────────────────────────────────────────────────────────────────────────

  function again(socket: EpollSocket): void {
    if (socket.isQueued) return;
    socket.isQueued = true;
    queue.push(socket);
  }

  function handle(socket: EpollSocket, events: number): void {
    switch (socket.doing) {
      case DOING.streaming:
      case DOING.closing:
        streams.event(socket, events);
        break;
      case DOING.relaying:
        pump.event(socket, events);
        break;
      case DOING.resting:
        noteReadable(socket, events);
        break;
      case DOING.reading:
        hasCalledBack = true;
        preambles.event(socket, events);
        break;
      case DOING.shaking:
        noteReadable(socket, events);
        handshakes!.proceed(socket);
        break;
      case DOING.connecting:
        noteReadable(socket, events);
        if ((events & (EPOLLERR | EPOLLHUP)) !== 0) settle(socket, sockets.errorOf(socket.descriptor));
        else if ((events & EPOLLOUT) !== 0) settle(socket, 0);
        break;
      case DOING.listening:
        socket.accept!(ACCEPTS_PER_TURN);
        break;
    }
  }

  function serveQueue(): void {
    const now = queue;
    queue = served;
    served = now;
    for (const socket of now) {
      socket.isQueued = false;
      if (socket.doing === DOING.streaming || socket.doing === DOING.closing) streams.serve(socket);
      else if (socket.doing === DOING.relaying) pump.resume(socket);
      else if (socket.doing === DOING.reading) {
        hasCalledBack = true;
        preambles.resume(socket);
      }
    }
    now.length = 0;
  }

  function callLater(): void {
    const now = calledLater;
    calledLater = [];
    hasCalledBack = true;
    for (const call of now) call();
  }

  function timeOut(socket: EpollSocket): void {
    switch (socket.doing) {
      case DOING.listening: // the pause is over
        poller.modify(socket.descriptor, EPOLLIN, socket.slot, socket.generation);
        break;
      case DOING.relaying:
        relays.check(socket.relay!);
        break;
      case DOING.connecting:
        settle(socket, errno.ETIMEDOUT);
        break;
      case DOING.closing:
        streams.timeOut(socket);
        break;
      case DOING.shaking:
        handshakes!.timeOut(socket);
        break;
      default:
        preambles.timeOut(socket);
    }
  }

  // ── accept and connect ─────────────────────────────────────────────────────────────────────────────────────────

  function accept(listener: EpollSocket, limit: number, accepted: (conn: TcpConn) => void): void {
    const local = WILDCARDS.has(listener.local.address) ? undefined : listener.local;
    for (let count = 0; count < limit && listener.doing === DOING.listening; count++) {
      const descriptor = sockets.accept(listener.descriptor);
      if (descriptor >= 0) {
        const socket = add(descriptor, { remote: sockets.acceptedFrom(), local }, DOING.resting);
        if (socket === undefined) continue;
        hasCalledBack = true;
        accepted(socket);
      } else if (descriptor === -errno.EAGAIN) return;
      else if (!PASSING.has(-descriptor)) {
        poller.modify(listener.descriptor, 0, listener.slot, listener.generation);
        wheel.arm(listener, nowMs + ACCEPT_PAUSE_MS);
        return;
      }
    }
  }

  /** A connect is over. @param error 0: it is connected */
  function settle(socket: EpollSocket, error: number): void {
    const done = socket.connected!;
    socket.connected = undefined;
    hasCalledBack = true;
    if (error === 0) {
      wheel.cancel(socket);
      socket.doing = DOING.resting;
    } else drop(socket, true);
    done(error);
  }

  return {
    wakeDescriptor,

    turn(maxWaitMs) {
      if (isClosed) return 0;
      hasCalledBack = false;
      nowMs = clock.monotonicMs();
      const endMs = nowMs + maxWaitMs;
      let handled = 0;
      outbox.flushWritten(); // what promises and timers wrote
      for (let waits = 0; waits < WAITS_PER_TURN; waits++) {
        const hasWork = queue.length > 0 || calledLater.length > 0;
        const count = poller.wait(hasWork ? 0 : Math.max(0, Math.ceil(endMs - nowMs)));
        nowMs = clock.monotonicMs();
        for (let index = 0; index < count; index++) {
          const slot = poller.slot(index);
          const socket = table[slot];
          if (slot === WAKE_SLOT) hasCalledBack = true;
          else if (socket !== undefined && socket.generation === poller.generation(index)) {
            handle(socket, poller.events(index));
            if (outbox.hasWritten()) outbox.flushWritten();
          }
        }
        handled += count;
        if (calledLater.length > 0) callLater();
        if (queue.length > 0) serveQueue();
        wheel.advance(nowMs);
        if (outbox.hasWritten()) outbox.flushWritten();
        if (isClosed || hasCalledBack || (count === 0 && !hasWork) || nowMs >= endMs) break;
      }
      return handled;
    },

    endTurn() {
      hasCalledBack = true;
    },

    listen(fd, backlog, accepted) {
      sockets.listen(fd, backlog);
      const local = sockets.nameOf(fd);
      const listener = add(fd, { remote: { address: "::", port: 0 }, local }, DOING.listening, EPOLLIN);
      if (listener === undefined) throw systemError("epoll_ctl", calls.errno());
      listener.accept = (limit) => accept(listener, limit, accepted);
      return {
        close(closed) {
          if (listener.doing !== DOING.listening) return;
          calledLater.push(() => {
            if (listener.doing !== DOING.listening) return;
            listener.accept!(Number.POSITIVE_INFINITY);
            if (listener.doing === DOING.listening) drop(listener, false);
            closed?.();
          });
        },
      };
    },

    connect({ address, port }, timeoutMs, done) {
      const descriptor = sockets.connect({ address, port });
      const socket =
        descriptor < 0 ? undefined : add(descriptor, { remote: { address, port }, local: undefined }, DOING.connecting);
      if (socket === undefined) {
        let isGivenUp = false;
        calledLater.push(() => {
          if (!isGivenUp) done(descriptor < 0 ? faultOf(-descriptor) : "other");
        });
        return () => {
          isGivenUp = true;
        };
      }
      socket.connected = (error) => done(error === 0 ? socket : faultOf(error));
      wheel.arm(socket, clock.monotonicMs() + timeoutMs);
      return () => {
        if (socket.doing === DOING.connecting) drop(socket, true);
      };
    },

    relay: (client, upstream, options, done, firstOctet) =>
      relays.begin(client as EpollSocket, upstream as EpollSocket, options, done, firstOctet),
    ...(handshakes && { startTls: (client, terms, done) => handshakes.start(client as EpollSocket, terms, done) }),

    open: () => open,
    held: () => ({
      sockets: open,
      buffers: buffers.held(),
      pipes: pipes.held(),
      timers: wheel.armed(),
      sessions: transport.held(),
      contexts: handshakes?.held() ?? 0,
    }),

    close() {
      if (isClosed) return;
      isClosed = true;
      for (const socket of table) {
        if (socket !== undefined) drop(socket, socket.accept === undefined);
      }
      handshakes?.close();
      pump.close();
      streams.end();
      pipes.close();
      poller.close();
      calls.close(wakeDescriptor);
      queue = [];
      calledLater = [];
    },
  };
}
