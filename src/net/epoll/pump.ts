/**
 * Moves octets between the two sockets of a relay: one read and one write for what a wake-up brings.
 *
 * Owns:    what happens to octets, ends and errors of sockets that are relayed. What a peer does not take stays in one
 *          buffer, and nothing is read for that direction until it is gone.
 * Never:   allocates per event, knows of time-outs.
 * @module
 */
import { constants } from "node:os";
import type { RelayReason } from "#net/driver.ts";
import { BUFFER_OCTETS, type BufferPool, type NativeBuffer } from "#net/epoll/buffers.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, type EpollCalls } from "#net/epoll/load.ts";
import { PIPE_OCTETS, type Pipe, type Pipes } from "#net/epoll/pipes.ts";
import type { EpollRelay, EpollSocket } from "#net/epoll/socket.ts";
import type { Sockets } from "#net/epoll/system.ts";
import type { Transport } from "#net/epoll/transport.ts";

/** Octets of one connection until others get their turn. */
const OCTETS_PER_TURN = 262_144;
/** Full reads in a row that make a stream. */
const STREAM_READS = 4;
/** Reads of what a peer said before it went away: its last words are often the reason. */
const RESCUE_READS = 16;

const { EAGAIN, EINTR } = constants.errno;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const SPLICE_FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
const READS = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
const READS_TO_END = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

/** Takes note of what an event says about reading. */
export function noteReadable(socket: EpollSocket, events: number): void {
  if ((events & READS) === 0) return;
  socket.isReadable = true;
  if ((events & READS_TO_END) !== 0) socket.readsToEnd = true;
  if ((events & EPOLLPRI) !== 0) socket.isUrgent = true;
}

export type Pump = {
  /** Of a socket that is relayed. */
  event(socket: EpollSocket, events: number): void;
  /** Goes on where it stopped: after the start of a relay, or when others had their turn. */
  resume(from: EpollSocket): void;
  close(): void;
};

/**
 * @param options.nowMs of this turn
 * @param options.again resumes this socket after the others
 * @param options.limits that apply have changed: one side ended
 * @param options.finish the relay is over; it ends both sockets
 */
export function createPump(options: {
  readonly calls: Pick<EpollCalls, "splice" | "errno">;
  readonly sockets: Sockets;
  readonly transport: Transport;
  readonly buffers: BufferPool;
  readonly pipes: Pipes;
  nowMs(): number;
  again(socket: EpollSocket): void;
  limits(relay: EpollRelay): void;
  tellFirstOctet(relay: EpollRelay): void;
  finish(relay: EpollRelay, reason: RelayReason): void;
}): Pump {
  const { calls, sockets, transport, buffers, pipes, nowMs, again, limits, tellFirstOctet, finish } = options;
  /** Its results are those of a transport. */
  function splice(from: number, to: number, octets: number): number {
    const count = calls.splice(from, 0, to, 0, octets, SPLICE_FLAGS);
    return count >= 0 ? count : -calls.errno();
  }
  let current: NativeBuffer = buffers.take();

  const resetBy = (socket: EpollSocket): void => {
    const relay = socket.relay!;
    finish(relay, socket === relay.client ? "client-reset" : "upstream-reset");
  };

  /** `to` cannot be written to any more. What it said until then is handed on, as far as it is taken. */
  function lost(to: EpollSocket): void {
    const from = to.peer!;
    if (!to.hasEnded && to.pendingOctets === 0) {
      for (let reads = 0; reads < RESCUE_READS; reads++) {
        const count = transport.receive(to, current.address, BUFFER_OCTETS);
        if (count <= 0) break;
        const sent = transport.send(from, current.address, count, 0);
        if (sent > 0) to.carried += sent;
        if (sent < count) break;
      }
    }
    resetBy(to);
  }

  /** @returns a pipe if this is a stream, and one is to be had */
  function pipeOf(from: EpollSocket): Pipe | undefined {
    const isCopied = from.tls !== undefined || from.peer!.tls !== undefined;
    if (from.fullReads < STREAM_READS || from.isUrgent || isCopied) letGoOfPipe(from);
    else from.pipe ??= pipes.take();
    return from.pipe;
  }
  function letGoOfPipe(from: EpollSocket): void {
    if (from.pipe === undefined) return;
    pipes.give(from.pipe, true);
    from.pipe = undefined;
  }

  /**
   * `to` did not take all of `count` octets. A buffer stays with the connection, and another one is shared from now on.
   *
   * @param sent what the kernel took, or an error number below 0. @returns whether `to` is still there
   */
  function keep(from: EpollSocket, to: EpollSocket, count: number, sent: number): boolean {
    if (sent < 0) {
      const error = -sent;
      from.pendingOctets = count; // of a pipe: so it is not taken for empty
      if (error !== EAGAIN && error !== EINTR) {
        lost(to);
        return false;
      }
      if (error === EINTR) again(from);
      sent = 0;
    }
    from.carried += sent;
    from.pendingOctets = count - sent;
    if (from.pipe !== undefined) return true;
    from.pending = current;
    from.pendingAt = sent;
    current = buffers.take();
    return true;
  }

  /** The peer gets the FIN that came from `from`, after all octets. */
  function handOnEnd(from: EpollSocket): void {
    const to = from.peer!;
    const relay = from.relay!;
    from.isHandedOn = true;
    if (to.isHandedOn) finish(relay, "closed");
    else {
      transport.endWriting(to);
      limits(relay);
    }
  }

  /** Reads from `from` and writes to its peer until there is nothing more, or the peer takes no more. */
  function pump(from: EpollSocket): void {
    const to = from.peer!;
    const relay = from.relay!;
    for (let octets = 0; from.pendingOctets === 0; ) {
      if (octets >= OCTETS_PER_TURN) {
        again(from);
        return;
      }
      const pipe = pipeOf(from);
      const count =
        pipe === undefined
          ? transport.receive(from, current.address, BUFFER_OCTETS)
          : splice(from.descriptor, pipe.writeEnd, PIPE_OCTETS);
      if (count > 0) {
        octets += count;
        relay.activeMs = nowMs();
        const sent =
          pipe === undefined
            ? transport.send(to, current.address, count, 0)
            : splice(pipe.readEnd, to.descriptor, count);
        if (sent === count) from.carried += count;
        else if (!keep(from, to, count, sent)) return;
        if (relay.firstOctet !== undefined && from === relay.upstream) {
          tellFirstOctet(relay);
          if (relay.reason !== undefined) return;
        }
        if (pipe !== undefined) continue; // a short splice does not say that there is no more
        if (count === BUFFER_OCTETS) from.fullReads++;
        else {
          from.fullReads = 0;
          if (from.readsToEnd) continue;
          from.isReadable = false;
          return;
        }
        continue;
      }
      letGoOfPipe(from);
      if (octets < BUFFER_OCTETS) from.fullReads = 0;
      if (count === 0) {
        from.isReadable = false;
        from.hasEnded = true;
        handOnEnd(from);
        return;
      }
      const error = -count;
      if (error === EINTR) continue;
      if (error === EAGAIN) {
        from.isReadable = false;
        from.readsToEnd = false;
      } else resetBy(from);
      return;
    }
  }

  /** Sends what the peer of `from` did not take before. */
  function flush(from: EpollSocket): void {
    const to = from.peer!;
    const { pending, pipe } = from;
    const sent =
      pending === undefined
        ? splice(pipe!.readEnd, to.descriptor, from.pendingOctets)
        : transport.send(to, pending.address + from.pendingAt, from.pendingOctets, 0);
    if (sent < 0) {
      if (sent === -EINTR) again(from);
      else if (sent !== -EAGAIN) lost(to);
      return;
    }
    from.relay!.activeMs = nowMs();
    from.carried += sent;
    from.pendingAt += sent;
    from.pendingOctets -= sent;
    if (from.pendingOctets > 0) return;
    if (pending !== undefined) buffers.give(pending);
    from.pending = undefined;
    proceed(from);
  }

  /** Nothing of `from` waits to be sent. */
  function proceed(from: EpollSocket): void {
    if (from.wasReset) resetBy(from);
    else if (from.hasEnded) {
      if (!from.isHandedOn) handOnEnd(from);
    } else if (from.isReadable) pump(from);
  }

  return {
    event(socket, events) {
      const relay = socket.relay!;
      if ((events & EPOLLERR) !== 0 && (socket.hasEnded || socket.pendingOctets > 0)) {
        // Reading would not tell, or not yet.
        if (sockets.errorOf(socket.descriptor) !== 0) {
          resetBy(socket);
          return;
        }
      }
      if ((events & EPOLLOUT) !== 0 && socket.peer!.pendingOctets > 0) {
        flush(socket.peer!);
        if (relay.reason !== undefined) return;
      }
      noteReadable(socket, events);
      if (socket.isReadable && !socket.hasEnded && socket.pendingOctets === 0) pump(socket);
    },
    resume(from) {
      const relay = from.relay!;
      if (from.pendingOctets === 0) return proceed(from);
      flush(from);
      if (relay.reason === undefined && relay.firstOctet !== undefined && relay.upstream === from)
        tellFirstOctet(relay);
    },
    close() {
      buffers.give(current);
    },
  };
}
