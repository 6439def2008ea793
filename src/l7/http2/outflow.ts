/**
 * Bodies on their way to a client of HTTP/2, as far as its windows let them (RFC 9113 §5.2).
 *
 * Owns:    the client's windows, what waits for them or for the conn, and the order in which it goes: a frame of each stream
 *          in turn. What can go at once goes without a copy.
 * Units:   octets, steady ms.
 * @module
 */
import type { FrameWriter } from "#l7/http2/frame-writer.ts";
import { DEFAULT_WINDOW_OCTETS, FRAME_OCTETS, MAX_WINDOW_OCTETS } from "#l7/http2/frames.ts";
import type { Fields } from "#l7/message.ts";

const NOTHING = Buffer.alloc(0);

/** Our half of one stream. */
export class OutStream {
  readonly id: number;
  /** May be below zero, after a change of settings (RFC 9113 §6.9.2). */
  windowOctets: number;
  /** That wait. */
  waiting = 0;
  pieces: Buffer[] | undefined;
  /** Of the first piece, gone already. */
  gone = 0;
  /** END_STREAM follows what waits. */
  isEnding = false;
  trailers: Fields | undefined;
  /** END_STREAM was sent. */
  isOver = false;
  /** The writer was asked to stop. */
  wantsRoom = false;
  /** When something that waits went out, or began to wait. */
  movedMs = 0;
  readonly #owner: OutOwner;

  constructor(id: number, windowOctets: number, owner: OutOwner) {
    this.id = id;
    this.windowOctets = windowOctets;
    this.#owner = owner;
  }
  tellEmpty(): void {
    const wantedRoom = this.wantsRoom;
    this.wantsRoom = false;
    if (this.isOver) this.#owner.onOutEnd();
    else if (wantedRoom) this.#owner.onOutRoom();
  }
}
export type OutOwner = {
  /** Nothing waits any more, after a `send` that said that something does. */
  onOutRoom(): void;
  /** The last of what had to wait was sent. */
  onOutEnd(): void;
};

export class Outflow {
  /** Of the connection. */
  windowOctets: number = DEFAULT_WINDOW_OCTETS;
  /** Of a stream that begins. */
  initialOctets: number = DEFAULT_WINDOW_OCTETS;
  readonly #writer: FrameWriter;
  readonly #nowMs: () => number;
  /** That could go on, as far as their own windows are concerned. */
  readonly #ready = new Set<OutStream>();

  constructor(writer: FrameWriter, nowMs: () => number) {
    this.#writer = writer;
    this.#nowMs = nowMs;
  }

  /**
   * @param octets the caller's own again after the call
   * @param isEnd END_STREAM goes with the last of them
   * @returns false: wait for `onOutRoom`
   */
  send(stream: OutStream, octets: Uint8Array, isEnd: boolean): boolean {
    let sent = 0;
    if (stream.waiting === 0 && !this.#writer.isFull) {
      sent = Math.max(0, Math.min(octets.length, stream.windowOctets, this.windowOctets));
      if (sent > 0) this.#write(stream, octets, 0, sent, isEnd && sent === octets.length);
    }
    if (sent < octets.length) {
      if (stream.waiting === 0) stream.movedMs = this.#nowMs();
      stream.pieces ??= [];
      stream.pieces.push(Buffer.from(octets.subarray(sent)));
      stream.waiting += octets.length - sent;
      stream.isEnding = isEnd;
      if (stream.windowOctets > 0) this.#ready.add(stream);
    } else if (this.#writer.isFull && !isEnd) this.#ready.add(stream);
    else return true;
    stream.wantsRoom = true;
    return false;
  }
  /** @returns false: something waits before the end; `onOutEnd` comes */
  end(stream: OutStream, trailers: Fields | undefined): boolean {
    stream.trailers = trailers;
    stream.isEnding = true;
    if (stream.waiting > 0) return false;
    this.#finish(stream);
    this.#ready.delete(stream);
    return true;
  }
  /** It sends no more. */
  drop(stream: OutStream): void {
    this.#ready.delete(stream);
    stream.pieces = undefined;
    stream.waiting = 0;
    stream.wantsRoom = false;
  }

  /** The client has opened the window of the connection. @returns false: further than there is (RFC 9113 §6.9.1) */
  open(octets: number): boolean {
    this.windowOctets += octets;
    this.flush();
    return this.windowOctets <= MAX_WINDOW_OCTETS;
  }
  /** That of a stream, or closed it by a change of settings. */
  openStream(stream: OutStream, octets: number): boolean {
    stream.windowOctets += octets;
    if (stream.windowOctets > MAX_WINDOW_OCTETS) return false;
    if (stream.waiting > 0 && stream.windowOctets > 0) {
      this.#ready.add(stream);
      this.flush();
    }
    return true;
  }

  /** Sends what may go now, a frame of each stream in turn. */
  flush(): void {
    while (this.#ready.size > 0) {
      for (const stream of this.#ready) {
        if (this.#writer.isFull || (this.windowOctets <= 0 && stream.waiting > 0)) return;
        this.#sendFrame(stream);
      }
    }
  }
  #sendFrame(stream: OutStream): void {
    if (stream.waiting > 0) {
      const piece = stream.pieces![0]!;
      const room = Math.min(FRAME_OCTETS, stream.windowOctets, this.windowOctets);
      const count = Math.min(piece.length - stream.gone, room);
      if (count <= 0) return void this.#ready.delete(stream);
      const from = stream.gone;
      stream.waiting -= count;
      stream.gone += count;
      stream.movedMs = this.#nowMs();
      const isLast = stream.waiting === 0 && stream.isEnding && stream.trailers === undefined;
      this.#write(stream, piece, from, from + count, isLast);
      if (stream.gone === piece.length) {
        stream.pieces!.shift();
        stream.gone = 0;
      }
    }
    if (stream.waiting > 0) return;
    this.#ready.delete(stream);
    if (stream.isEnding && !stream.isOver) this.#finish(stream);
    stream.tellEmpty();
  }
  #write(stream: OutStream, octets: Uint8Array, from: number, to: number, isEnd: boolean): void {
    stream.windowOctets -= to - from;
    this.windowOctets -= to - from;
    if (isEnd) stream.isOver = true;
    this.#writer.data(stream.id, octets, from, to, isEnd);
  }
  #finish(stream: OutStream): void {
    if (stream.isOver) return;
    stream.isOver = true;
    if (stream.trailers === undefined) this.#writer.data(stream.id, NOTHING, 0, 0, true);
    else this.#writer.trailers(stream.id, stream.trailers);
  }
}
