/**
 * What goes to a client of HTTP/2, as frames. The frames of one call go to the conn in one write; the conn sends together what
 * was written in one turn.
 *
 * Owns:    our dynamic table (HPACK), and whether the client takes what is written.
 * Never:   looks at windows: that is `outflow.ts`.
 * Units:   octets.
 * @module
 */
import {
  CODE,
  type Code,
  DEFAULT_WINDOW_OCTETS,
  FLAG,
  FRAME,
  FRAME_OCTETS,
  HEAD_OCTETS,
  SETTING,
} from "#l7/http2/frames.ts";
import { HpackEncoder } from "#l7/http2/hpack/encoder.ts";
import { OctetWriter } from "#l7/http2/octet-writer.ts";
import type { Fields, ResponseHead } from "#l7/message.ts";
import type { TcpConn } from "#net/driver.ts";
import type { Http2Spec } from "#state/http.ts";

/** So much of a body is put together before it is written. */
const WRITE_OCTETS = 65_536;
const SETTINGS_VALUE = 6;

const out = new OctetWriter();

export class FrameWriter {
  readonly encoder: HpackEncoder = new HpackEncoder();
  /** The conn has enough for now: bodies wait, what is short and due goes on. */
  isFull = false;
  /** All that was ever written. */
  written = 0;
  readonly #conn: TcpConn;

  constructor(conn: TcpConn) {
    this.#conn = conn;
  }

  /** Our first word. @param windowOctets of the connection */
  open(http2: Http2Spec, windowOctets: number): void {
    const settings = [
      [SETTING.maxStreams, http2.maxStreams],
      [SETTING.windowOctets, http2.windowOctets],
      [SETTING.headerListOctets, http2.headerListOctets],
      [SETTING.enableConnectProtocol, 1],
    ] as const;
    writeHead(settings.length * SETTINGS_VALUE, FRAME.settings, 0, 0);
    for (const [id, value] of settings) {
      out.octets[out.at++] = 0;
      out.octets[out.at++] = id;
      writeWord(value);
    }
    this.#send();
    this.window(0, windowOctets - DEFAULT_WINDOW_OCTETS);
  }
  settingsTaken(): void {
    writeHead(0, FRAME.settings, FLAG.ack, 0);
    this.#send();
  }
  ping(): void {
    writeHead(8, FRAME.ping, 0, 0);
    writeWord(0);
    writeWord(0);
    this.#send();
  }
  pong(octets: Buffer, at: number): void {
    writeHead(8, FRAME.ping, FLAG.ack, 0);
    for (let index = 0; index < 8; index++) out.octets[out.at++] = octets[at + index]!;
    this.#send();
  }
  window(stream: number, octets: number): void {
    writeHead(4, FRAME.windowUpdate, 0, stream);
    writeWord(octets);
    this.#send();
  }
  reset(stream: number, code: Code): void {
    writeHead(4, FRAME.reset, 0, stream);
    writeWord(code);
    this.#send();
  }
  /** @param last stream that is served */
  goaway(last: number, code: Code = CODE.none): void {
    writeHead(8, FRAME.goaway, 0, 0);
    writeWord(last);
    writeWord(code);
    this.#send();
  }

  head(stream: number, { status, fields, bodyOctets, declaredOctets }: ResponseHead, isEnd: boolean): void {
    this.#beginBlock();
    this.encoder.status(out, status);
    this.#fields(fields);
    const length = declaredOctets ?? (bodyOctets > 0 ? bodyOctets : undefined);
    if (length !== undefined && status !== 204) this.encoder.contentLength(out, length);
    this.#endBlock(stream, isEnd);
  }
  informational(stream: number, status: number, fields: Fields): void {
    this.#beginBlock();
    this.encoder.status(out, status);
    this.#fields(fields);
    this.#endBlock(stream, false);
  }
  trailers(stream: number, fields: Fields): void {
    this.#beginBlock();
    this.#fields(fields);
    this.#endBlock(stream, true);
  }
  /** Octets of a body, in as many frames as they take. */
  data(stream: number, octets: Uint8Array, from: number, to: number, isEnd: boolean): void {
    for (let at = from; ; ) {
      const end = Math.min(to, at + FRAME_OCTETS);
      const isLast = end === to;
      out.reserve(HEAD_OCTETS + FRAME_OCTETS);
      writeHead(end - at, FRAME.data, isLast && isEnd ? FLAG.endStream : 0, stream);
      out.octets.set(at === 0 && end === octets.length ? octets : octets.subarray(at, end), out.at);
      out.at += end - at;
      at = end;
      if (isLast || out.at >= WRITE_OCTETS) this.#send();
      if (isLast) return;
    }
  }

  #beginBlock(): void {
    out.at = HEAD_OCTETS; // its frame's head is written when its length is known
    this.encoder.begin(out);
  }
  #fields(fields: Fields): void {
    for (let at = 0; at < fields.length; at += 2) this.encoder.field(out, fields[at]!, fields[at + 1]!);
  }
  #endBlock(stream: number, isEnd: boolean): void {
    const end = out.at;
    const length = end - HEAD_OCTETS;
    const endFlag = isEnd ? FLAG.endStream : 0;
    if (length > FRAME_OCTETS)
      return void this.#sendLong(stream, Buffer.from(out.octets.subarray(HEAD_OCTETS, end)), endFlag);
    out.at = 0;
    writeHead(length, FRAME.headers, FLAG.endHeaders | endFlag, stream);
    out.at = end;
    this.#send();
  }
  /** A block that takes more than a frame. Nothing else may stand between its frames (RFC 9113 §4.3). */
  #sendLong(stream: number, block: Buffer, endFlag: number): void {
    out.at = 0;
    for (let at = 0; at < block.length; ) {
      const end = Math.min(block.length, at + FRAME_OCTETS);
      const flags = (at === 0 ? endFlag : 0) | (end === block.length ? FLAG.endHeaders : 0);
      out.reserve(HEAD_OCTETS + FRAME_OCTETS);
      writeHead(end - at, at === 0 ? FRAME.headers : FRAME.continuation, flags, stream);
      out.octets.set(block.subarray(at, end), out.at);
      out.at += end - at;
      at = end;
    }
    this.#send();
  }
  #send(): void {
    this.written += out.at;
    const hasRoom = this.#conn.write(out.octets.subarray(0, out.at));
    out.at = 0;
    if (!hasRoom) this.isFull = true;
  }
}

function writeHead(length: number, type: number, flags: number, stream: number): void {
  const { octets } = out;
  octets[out.at++] = length >>> 16;
  octets[out.at++] = length >>> 8;
  octets[out.at++] = length;
  octets[out.at++] = type;
  octets[out.at++] = flags;
  writeWord(stream);
}
function writeWord(value: number): void {
  const { octets } = out;
  octets[out.at++] = value >>> 24;
  octets[out.at++] = value >>> 16;
  octets[out.at++] = value >>> 8;
  octets[out.at++] = value;
}
