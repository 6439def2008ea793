/**
 * Octets of a client → frames (RFC 9113 §3.4, §4, §6): one walk over what came, without an object for each frame.
 *
 * Owns:    what is wrong with a frame by itself: its size, its stream, its padding, its place among others. What a frame means
 *          for the connection is the sink's. Bodies are shown as they come; of all else at most one frame is held, and of a
 *          block of fields that was cut to pieces as much as it may have.
 * Rule:    who is told may stop the reader from within the call.
 * Units:   octets.
 * @module
 */
import { CODE, type Code, FLAG, FRAME, FRAME_OCTETS, HEAD_OCTETS, PREFACE } from "#l7/http2/frames.ts";

/** Settings that one frame may hold (RFC 9113 §6.5.2 and its registry know fewer than ten). */
const MAX_SETTINGS = 32;
/** What a block may have more than the fields that it stands for may: they are judged when it is decoded. */
const BLOCK_MARGIN = FRAME_OCTETS;
/** CONTINUATION frames of one block, beside those that a block of full frames takes (CVE-2024-27316). */
const MORE_CONTINUATIONS = 8;
const SETTING_OCTETS = 6;

/** Whom a reader tells. Views are valid during the call alone. */
export type FrameSink = {
  /**
   * A DATA frame begins. @param octets of all of it: what counts against windows; @param bodyOctets without padding: `onData`
   * shows as many, in one or more calls, and `onDataEnd` comes after them
   */
  onDataFrame(stream: number, octets: number, bodyOctets: number, isEnd: boolean): void;
  onData(octets: Buffer): void;
  onDataEnd(isEnd: boolean): void;
  /** A whole block of fields. @param isEnd END_STREAM came with it */
  onBlock(stream: number, octets: Buffer, from: number, to: number, isEnd: boolean): void;
  onReset(stream: number, code: number): void;
  /** Pairs of an identifier (2 octets) and a value (4). */
  onSettings(octets: Buffer, from: number, to: number): void;
  onSettingsTaken(): void;
  /** Eight octets from `at` on, to be sent back. */
  onPing(octets: Buffer, at: number): void;
  onPong(): void;
  onGoaway(): void;
  /** @param stream 0: of the connection */
  onWindow(stream: number, octets: number): void;
  /** A frame that says nothing to us: a priority, or a type that we do not know. */
  onIdleFrame(): void;
  /** The connection cannot go on; the reader has stopped. */
  onFault(code: Code): void;
  onStreamFault(stream: number, code: Code): void;
};

export class FrameReader {
  /** Frames that have come whole; those of a block count when it is over. */
  whole = 0;
  readonly #sink: FrameSink;
  readonly #maxBlockOctets: number;
  readonly #maxContinuations: number;
  #isStopped = false;
  #hasPreface = false;
  #hasSettings = false;
  /** The beginning of a frame. */
  #held: Buffer | undefined;
  // of the DATA frame under way
  #bodyLeft = 0;
  #paddingLeft = 0;
  #endsStream = false;
  // of the block under way
  #blockStream = 0;
  #block: Buffer[] = [];
  #blockOctets = 0;

  constructor(sink: FrameSink, headerListOctets: number) {
    this.#sink = sink;
    this.#maxBlockOctets = headerListOctets + BLOCK_MARGIN;
    this.#maxContinuations = Math.ceil(headerListOctets / FRAME_OCTETS) + MORE_CONTINUATIONS;
  }

  /** Something has begun and is not complete; bodies apart. */
  get isMidway(): boolean {
    return this.#held !== undefined || this.#blockStream !== 0;
  }
  /** Tells nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#held = undefined;
    this.#blockStream = 0;
    this.#block = [];
  }

  feed(octets: Buffer): void {
    if (this.#isStopped) return;
    const all = this.#held === undefined ? octets : Buffer.concat([this.#held, octets]);
    this.#held = undefined;
    let at = 0;
    while (!this.#isStopped && at < all.length) {
      const next = this.#hasPreface ? this.#readOn(all, at) : this.#readPreface(all);
      if (next === at) break;
      at = next;
    }
    if (at < all.length && !this.#isStopped) this.#held = Buffer.from(all.subarray(at));
  }

  /** @returns where to go on; `at` itself: more has to come */
  #readOn(octets: Buffer, at: number): number {
    return this.#bodyLeft + this.#paddingLeft > 0 ? this.#readBody(octets, at) : this.#readFrame(octets, at);
  }
  #readPreface(octets: Buffer): number {
    const length = Math.min(octets.length, PREFACE.length);
    if (PREFACE.compare(octets, 0, length, 0, length) !== 0) return this.#fail(octets, CODE.protocol);
    if (length < PREFACE.length) return 0;
    this.#hasPreface = true;
    return length;
  }
  #readBody(octets: Buffer, from: number): number {
    const count = Math.min(this.#bodyLeft, octets.length - from);
    this.#bodyLeft -= count;
    if (count > 0) this.#sink.onData(octets.subarray(from, from + count));
    const padding = Math.min(this.#paddingLeft, octets.length - from - count);
    this.#paddingLeft -= padding;
    if (this.#bodyLeft + this.#paddingLeft === 0 && !this.#isStopped) this.#endBody();
    return from + count + padding;
  }
  #endBody(): void {
    this.whole++;
    this.#sink.onDataEnd(this.#endsStream);
  }

  #readFrame(octets: Buffer, at: number): number {
    const from = at + HEAD_OCTETS;
    if (from > octets.length) return at;
    const length = (octets[at]! << 16) | (octets[at + 1]! << 8) | octets[at + 2]!;
    const type = octets[at + 3]!;
    const flags = octets[at + 4]!;
    const stream = wordAt(octets, at + 5) & 0x7fff_ffff;
    if (length > FRAME_OCTETS) return this.#fail(octets, CODE.frameSize);
    if (!this.#hasSettings && (type !== FRAME.settings || (flags & FLAG.ack) !== 0))
      return this.#fail(octets, CODE.protocol);
    if (this.#blockStream !== 0 && (type !== FRAME.continuation || stream !== this.#blockStream))
      return this.#fail(octets, CODE.protocol);
    if (type === FRAME.data) return this.#readData(octets, at, length, flags, stream);
    const to = from + length;
    if (to > octets.length) return at;
    const code = this.#take(octets, from, to, type, flags, stream);
    if (code !== CODE.none) return this.#fail(octets, code);
    if (this.#blockStream === 0) this.whole++;
    return to;
  }

  /** @returns what is wrong with it, for the connection */
  #take(octets: Buffer, from: number, to: number, type: number, flags: number, stream: number): Code {
    const length = to - from;
    switch (type) {
      case FRAME.headers:
        return this.#takeHeaders(octets, from, to, flags, stream);
      case FRAME.continuation:
        return this.#takeContinuation(octets, from, to, flags);
      case FRAME.settings:
        return this.#takeSettings(octets, from, to, flags, stream);
      case FRAME.windowUpdate: {
        if (length !== 4) return CODE.frameSize;
        const count = wordAt(octets, from) & 0x7fff_ffff;
        if (count > 0) this.#sink.onWindow(stream, count);
        else if (stream === 0) return CODE.protocol;
        else this.#sink.onStreamFault(stream, CODE.protocol);
        return CODE.none;
      }
      case FRAME.ping:
        if (stream !== 0) return CODE.protocol;
        if (length !== 8) return CODE.frameSize;
        if ((flags & FLAG.ack) === 0) this.#sink.onPing(octets, from);
        else this.#sink.onPong();
        return CODE.none;
      case FRAME.reset:
        if (stream === 0) return CODE.protocol;
        if (length !== 4) return CODE.frameSize;
        this.#sink.onReset(stream, wordAt(octets, from) >>> 0);
        return CODE.none;
      case FRAME.priority:
        if (stream === 0) return CODE.protocol;
        if (length !== 5) this.#sink.onStreamFault(stream, CODE.frameSize);
        else this.#sink.onIdleFrame();
        return CODE.none;
      case FRAME.goaway:
        if (stream !== 0) return CODE.protocol;
        if (length < 8) return CODE.frameSize;
        this.#sink.onGoaway();
        return CODE.none;
      case FRAME.pushPromise:
        return CODE.protocol; // a client has nothing to promise (RFC 9113 §8.4)
      default:
        this.#sink.onIdleFrame(); // RFC 9113 §5.5
        return CODE.none;
    }
  }

  #readData(octets: Buffer, at: number, length: number, flags: number, stream: number): number {
    let from = at + HEAD_OCTETS;
    let padding = 0;
    if (stream === 0) return this.#fail(octets, CODE.protocol);
    if ((flags & FLAG.padded) !== 0) {
      if (length === 0) return this.#fail(octets, CODE.frameSize);
      if (from === octets.length) return at;
      padding = octets[from]!;
      from++;
      if (padding >= length) return this.#fail(octets, CODE.protocol);
    }
    const bodyOctets = length - padding - (from - at - HEAD_OCTETS);
    this.#bodyLeft = bodyOctets;
    this.#paddingLeft = padding;
    this.#endsStream = (flags & FLAG.endStream) !== 0;
    this.#sink.onDataFrame(stream, length, bodyOctets, this.#endsStream);
    if (bodyOctets + padding === 0 && !this.#isStopped) this.#endBody();
    return from;
  }
  #takeHeaders(octets: Buffer, start: number, end: number, flags: number, stream: number): Code {
    let from = start;
    let to = end;
    if (stream === 0) return CODE.protocol;
    if ((flags & FLAG.padded) !== 0) {
      if (from === to) return CODE.frameSize;
      to -= octets[from++]!;
    }
    if ((flags & FLAG.priority) !== 0) from += 5; // not heeded (RFC 9113 §5.3.2)
    if (from > to) return CODE.protocol;
    const isEnd = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) this.#sink.onBlock(stream, octets, from, to, isEnd);
    else {
      this.#blockStream = stream;
      this.#endsStream = isEnd;
      this.#blockOctets = to - from;
      this.#block = [Buffer.from(octets.subarray(from, to))];
    }
    return CODE.none;
  }
  #takeContinuation(octets: Buffer, from: number, to: number, flags: number): Code {
    if (this.#blockStream === 0) return CODE.protocol;
    this.#blockOctets += to - from;
    if (this.#blockOctets > this.#maxBlockOctets || this.#block.length > this.#maxContinuations) return CODE.calm;
    this.#block.push(Buffer.from(octets.subarray(from, to)));
    if ((flags & FLAG.endHeaders) === 0) return CODE.none;
    const stream = this.#blockStream;
    const block = Buffer.concat(this.#block);
    this.#blockStream = 0;
    this.#block = [];
    this.#sink.onBlock(stream, block, 0, block.length, this.#endsStream);
    return CODE.none;
  }
  #takeSettings(octets: Buffer, from: number, to: number, flags: number, stream: number): Code {
    const length = to - from;
    if (stream !== 0) return CODE.protocol;
    if ((flags & FLAG.ack) !== 0) {
      if (length !== 0) return CODE.frameSize;
      this.#sink.onSettingsTaken();
      return CODE.none;
    }
    if (length % SETTING_OCTETS !== 0) return CODE.frameSize;
    if (length > MAX_SETTINGS * SETTING_OCTETS) return CODE.calm;
    this.#hasSettings = true;
    this.#sink.onSettings(octets, from, to);
    return CODE.none;
  }

  /** @returns the end: nothing more is read */
  #fail(octets: Buffer, code: Code): number {
    if (!this.#isStopped) {
      this.stop();
      this.#sink.onFault(code);
    }
    return octets.length;
  }
}

const wordAt = (octets: Buffer, at: number): number =>
  (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!;
