/**
 * Conns that stream: octets to their owner as they come, and from it as the kernel takes them.
 *
 * Owns:    the buffer that all of them are read into. An owner sees it during the call; what it wants to keep it copies, and
 *          what it hands on at once is not copied.
 * Never:   loses a readiness, of which edge-triggered epoll tells once: `isReadable` stays until the kernel has no more.
 * @module
 */
import { constants } from "node:os";
import type { StreamOwner } from "#net/driver.ts";
import { BUFFER_OCTETS, type BufferPool } from "#net/epoll/buffers.ts";
import { EPOLLERR, EPOLLOUT, type EpollCalls } from "#net/epoll/load.ts";
import { createOutbox, LOW_WATER, type Outbox } from "#net/epoll/outbox.ts";
import { noteReadable } from "#net/epoll/pump.ts";
import { DOING, type EpollSocket, EpollStream } from "#net/epoll/socket.ts";
import type { Sockets } from "#net/epoll/system.ts";
import type { Transport } from "#net/epoll/transport.ts";

/** Octets of one conn until others get their turn. */
const OCTETS_PER_TURN = 262_144;
/** What is left to send of a conn that was closed goes on as long as the peer takes some of it in such a time. */
const CLOSE_STALL_MS = 30_000;
const { EAGAIN, EINTR } = constants.errno;

export type Streams = {
  readonly outbox: Outbox;
  begin(socket: EpollSocket, owner: StreamOwner): void;
  /** Of a socket that streams, or has something left to send. */
  event(socket: EpollSocket, events: number): void;
  /** Tells what is to be told: after an event, or when others had their turn. */
  serve(socket: EpollSocket): void;
  pause(socket: EpollSocket): void;
  resume(socket: EpollSocket): void;
  finish(socket: EpollSocket): void;
  /** Ends it when all is sent. Its owner hears no more. */
  close(socket: EpollSocket, last: Uint8Array | undefined): void;
  /** Time is over for one that has something left to send: for good, unless some of it went out. */
  timeOut(socket: EpollSocket): void;
  /** Gives back the buffer. */
  end(): void;
};

/**
 * @param options.again serves this socket after the others
 * @param options.arm asks for `timeOut` in so many ms
 * @param options.drop ends the socket and lets go of all that it holds
 */
export function createStreams(options: {
  readonly calls: EpollCalls;
  readonly sockets: Sockets;
  readonly transport: Transport;
  readonly buffers: BufferPool;
  again(socket: EpollSocket): void;
  arm(socket: EpollSocket, ms: number): void;
  drop(socket: EpollSocket, isReset: boolean): void;
}): Streams {
  const { calls, sockets, transport, buffers, again, arm, drop } = options;
  const arrived = buffers.take();
  const { bytes } = arrived;
  const memory = bytes.buffer;
  const outbox = createOutbox({
    transport,
    buffers,
    again,
    addressOf: (octets) =>
      octets.buffer === memory
        ? arrived.address + octets.byteOffset - bytes.byteOffset
        : Number(calls.addressOf(octets)),
  });

  const isStreaming = (socket: EpollSocket): boolean => socket.doing === DOING.streaming;
  const isToldOctets = (socket: EpollSocket): boolean => isStreaming(socket) && !socket.streaming!.isPaused;

  function receive(socket: EpollSocket): void {
    const stream = socket.streaming!;
    for (let octets = 0; socket.isReadable && isToldOctets(socket); ) {
      if (octets >= OCTETS_PER_TURN) return void again(socket);
      const count = transport.receive(socket, arrived.address, BUFFER_OCTETS);
      if (count > 0) {
        octets += count;
        // What comes after a short read, be it an end, is an event of its own; unless it was announced with this one.
        if (count < BUFFER_OCTETS && !socket.readsToEnd && !socket.wasReset) socket.isReadable = false;
        stream.owner.onOctets(bytes.subarray(0, count));
        outbox.flushWritten();
        continue;
      }
      const error = -count;
      if (error === EINTR) continue;
      socket.isReadable = false;
      if (error === EAGAIN) socket.readsToEnd = false;
      else if (error === 0) socket.hasEnded = true;
      else socket.wasReset = true;
    }
  }

  /** A socket that broke may have last words: they are read first, when the owner wants them. */
  function breakOff(socket: EpollSocket): void {
    const { owner, isPaused } = socket.streaming!;
    if (isPaused && (socket.rest !== undefined || transport.hasUnread(socket, arrived.address))) return;
    drop(socket, true);
    owner.onGone();
  }

  function serve(socket: EpollSocket): void {
    const stream = socket.streaming!;
    if (socket.doing === DOING.closing) {
      if (socket.wasReset || stream.waiting === 0) drop(socket, socket.wasReset);
      return;
    }
    if (stream.wantsRoom && stream.waiting <= LOW_WATER && !socket.wasReset) {
      stream.wantsRoom = false;
      stream.owner.onRoom();
      outbox.flushWritten();
    }
    if (socket.rest !== undefined && isToldOctets(socket)) {
      const { buffer, byteOffset, length } = socket.rest;
      socket.rest = undefined;
      if (length > 0) stream.owner.onOctets(Buffer.from(buffer as ArrayBuffer, byteOffset, length));
    }
    if (socket.wasReset) socket.isReadable = !socket.hasEnded;
    if (socket.isReadable && !socket.hasEnded) receive(socket);
    if (!isStreaming(socket)) return;
    if (socket.wasReset) {
      if (!socket.isReadable || stream.isPaused) breakOff(socket);
    } else if (socket.hasEnded && !stream.isEndTold && !stream.isPaused) {
      stream.isEndTold = true;
      stream.owner.onEnd();
    }
  }

  return {
    outbox,
    begin(socket, owner) {
      if (socket.streaming === undefined) {
        socket.streaming = new EpollStream(owner);
        socket.doing = DOING.streaming;
        socket.look = undefined;
      } else {
        socket.streaming.owner = owner;
        socket.streaming.isEndTold = false;
      }
      again(socket);
    },
    event(socket, events) {
      const stream = socket.streaming!;
      if ((events & EPOLLERR) !== 0 && sockets.errorOf(socket.descriptor) !== 0) socket.wasReset = true;
      noteReadable(socket, events);
      if ((events & EPOLLOUT) !== 0 && stream.isBlocked) {
        stream.isBlocked = false;
        outbox.flush(socket);
      }
      serve(socket);
    },
    serve,
    pause(socket) {
      if (isStreaming(socket)) socket.streaming!.isPaused = true;
    },
    resume(socket) {
      if (!isStreaming(socket) || !socket.streaming!.isPaused) return;
      socket.streaming!.isPaused = false;
      again(socket);
    },
    finish(socket) {
      if (!isStreaming(socket)) return;
      const stream = socket.streaming!;
      stream.isFinishing = true;
      if (!stream.isWritten) outbox.flush(socket);
    },
    close(socket, last) {
      const stream = socket.streaming!;
      if (last !== undefined) outbox.write(socket, last);
      outbox.flush(socket);
      stream.owner = NOBODY;
      socket.isReadable = true; // whatever is there: closing without reading it would send a RST
      if (stream.waiting === 0) return drop(socket, socket.wasReset);
      socket.doing = DOING.closing;
      stream.waitingBefore = stream.waiting;
      arm(socket, CLOSE_STALL_MS);
    },
    timeOut(socket) {
      const stream = socket.streaming!;
      if (stream.waiting >= stream.waitingBefore) return drop(socket, true);
      stream.waitingBefore = stream.waiting;
      arm(socket, CLOSE_STALL_MS);
    },
    end() {
      buffers.give(arrived);
    },
  };
}

const NOBODY: StreamOwner = { onOctets() {}, onEnd() {}, onRoom() {}, onGone() {} };
