/**
 * What goes out on conns that stream: gathered while a call-back runs, and sent by one call at its end.
 *
 * Owns:    the octets that were written and not taken by the kernel, in buffers of the pool. Who has nothing to send holds
 *          none. What is big goes out straight from where it lies, as long as nothing waits before it.
 * Never:   calls back. That there is room again, or that the peer is gone, is told by `stream.ts` in its turn.
 * Units:   octets.
 * @module
 */
import { constants } from "node:os";
import { writeLatin1 } from "#base/latin1.ts";
import { STREAM_HIGH_WATER } from "#net/driver.ts";
import { BUFFER_OCTETS, type BufferPool } from "#net/epoll/buffers.ts";
import type { Address } from "#net/epoll/load.ts";
import { DOING, type EpollSocket, type EpollStream } from "#net/epoll/socket.ts";
import type { Transport } from "#net/epoll/transport.ts";

/** From here on another call costs less than a copy. */
const DIRECT_OCTETS = 16_384;
/** A writer that was asked to stop goes on when so little waits. */
export const LOW_WATER = STREAM_HIGH_WATER / 2;
const MSG_MORE = 0x8000;
const { EAGAIN, EINTR } = constants.errno;

export type Outbox = {
  /** @returns false: so much waits that the writer should stop, until it is told */
  write(socket: EpollSocket, octets: Uint8Array): boolean;
  writeText(socket: EpollSocket, latin1: string): boolean;
  /** Sends as much as the kernel takes; what is finished gets its FIN after the last octet. */
  flush(socket: EpollSocket): void;
  /** Flushes all that were written to. */
  flushWritten(): void;
  hasWritten(): boolean;
  /** Lets go of what was not sent. */
  discard(stream: EpollStream): void;
};

/**
 * @param options.addressOf the place of octets that lie in memory which the kernel may read
 * @param options.again resumes this socket in the loop: there is room again, or it broke
 */
export function createOutbox(options: {
  readonly transport: Pick<Transport, "send" | "endWriting">;
  readonly buffers: BufferPool;
  addressOf(octets: Uint8Array): Address;
  again(socket: EpollSocket): void;
}): Outbox {
  const { transport, buffers, addressOf, again } = options;
  const written: EpollSocket[] = [];

  /** @returns what the kernel took. Less than all: it takes no more, or the socket broke */
  function give(socket: EpollSocket, at: Address, octets: number, flags: number): number {
    const sent = transport.send(socket, at, octets, flags);
    if (sent === octets) return sent;
    const stream = socket.streaming!;
    if (sent < 0) {
      if (sent === -EINTR) return give(socket, at, octets, flags);
      if (sent !== -EAGAIN) {
        socket.wasReset = true;
        again(socket);
        discard(stream);
        return -1;
      }
    }
    stream.isBlocked = true; // EPOLLOUT comes when there is room
    return Math.max(0, sent);
  }

  function discard(stream: EpollStream): void {
    if (stream.out !== undefined) buffers.give(stream.out);
    for (const { buffer } of stream.more ?? []) buffers.give(buffer);
    stream.out = undefined;
    stream.more = undefined;
    stream.waiting = 0;
  }

  /** @param flags MSG_MORE: something comes right after it */
  function flush(socket: EpollSocket, flags: number): void {
    const stream = socket.streaming!;
    while (stream.waiting > 0 && !stream.isBlocked) {
      const { out, outAt, outEnd, more } = stream;
      const isLast = more === undefined;
      const sent = give(socket, out!.address + outAt, outEnd - outAt, isLast ? flags : MSG_MORE);
      if (sent < 0) return;
      stream.waiting -= sent;
      if (sent < outEnd - outAt) stream.outAt += sent;
      else {
        buffers.give(out!);
        const next = more?.shift();
        stream.out = next?.buffer;
        stream.outAt = 0;
        stream.outEnd = next?.end ?? 0;
        if (isLast || more.length === 0) stream.more = undefined;
      }
    }
    if (stream.waiting === 0 && stream.isFinishing && !stream.isFinished) {
      stream.isFinished = true;
      transport.endWriting(socket);
    }
    if (stream.wantsRoom && stream.waiting <= LOW_WATER) again(socket);
  }

  function note(socket: EpollSocket, stream: EpollStream): void {
    if (stream.isWritten || stream.isBlocked) return;
    stream.isWritten = true;
    written.push(socket);
  }

  /** Keeps octets for later, from `at` on. */
  function keep(socket: EpollSocket, octets: Uint8Array, at: number): void {
    const stream = socket.streaming!;
    for (let from = at; from < octets.length; ) {
      if (stream.outEnd === BUFFER_OCTETS && !stream.isBlocked) {
        flush(socket, MSG_MORE);
        if (socket.wasReset) return;
      }
      if (stream.out === undefined) {
        stream.out = buffers.take();
        stream.outAt = 0;
        stream.outEnd = 0;
      }
      let piece = stream.more?.at(-1);
      if (piece === undefined ? stream.outEnd === BUFFER_OCTETS : piece.end === BUFFER_OCTETS) {
        piece = { buffer: buffers.take(), end: 0 };
        stream.more ??= [];
        stream.more.push(piece);
      }
      const end = piece === undefined ? stream.outEnd : piece.end;
      const count = Math.min(BUFFER_OCTETS - end, octets.length - from);
      const { bytes } = piece?.buffer ?? stream.out;
      bytes.set(count === octets.length ? octets : octets.subarray(from, from + count), end);
      if (piece === undefined) stream.outEnd += count;
      else piece.end += count;
      stream.waiting += count;
      from += count;
    }
    note(socket, stream);
  }

  function hasRoom(stream: EpollStream): boolean {
    if (stream.waiting <= STREAM_HIGH_WATER) return true;
    stream.wantsRoom = true;
    return false;
  }
  const takes = (socket: EpollSocket): boolean =>
    socket.doing === DOING.streaming && !socket.wasReset && !socket.streaming!.isFinishing;

  return {
    write(socket, octets) {
      if (!takes(socket)) return true;
      const stream = socket.streaming!;
      let at = 0;
      if (octets.length >= DIRECT_OCTETS && !stream.isBlocked) {
        flush(socket, MSG_MORE);
        if (!stream.isBlocked && !socket.wasReset) at = give(socket, addressOf(octets), octets.length, 0);
        if (socket.wasReset) return true;
      }
      if (at < octets.length) keep(socket, octets, at);
      return hasRoom(stream);
    },
    writeText(socket, latin1) {
      if (!takes(socket)) return true;
      const stream = socket.streaming!;
      if (stream.out === undefined) {
        stream.out = buffers.take();
        stream.outAt = 0;
        stream.outEnd = 0;
      }
      if (stream.more !== undefined || stream.outEnd + latin1.length > BUFFER_OCTETS)
        keep(socket, Buffer.from(latin1, "latin1"), 0);
      else {
        writeLatin1(stream.out.bytes, latin1, stream.outEnd);
        stream.outEnd += latin1.length;
        stream.waiting += latin1.length;
        note(socket, stream);
      }
      return hasRoom(stream);
    },
    flush: (socket) => flush(socket, 0),
    flushWritten() {
      for (let socket = written.pop(); socket !== undefined; socket = written.pop()) {
        socket.streaming!.isWritten = false;
        if (socket.doing === DOING.streaming) flush(socket, 0);
      }
    },
    hasWritten: () => written.length > 0,
    discard,
  };
}
