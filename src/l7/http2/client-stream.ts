/**
 * One request of a client over HTTP/2, and the response to it, as its exchange sees them.
 *
 * Owns:    the stream of `node:http2`: how much of the body came and whether it is what was announced (R26), what was sent,
 *          and the time limits of both, which are those of HTTP/1.1 (R46).
 * Rule:    Node keeps what it is given to send: octets that are shown for the time of a call are copied.
 * Units:   octets, steady ms.
 * @module
 */
import type { ServerHttp2Stream, ServerStreamResponseOptions } from "node:http2";
import { fieldsObject, readTrailers } from "#l7/http2/fields.ts";
import { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } from "#l7/http2/options.ts";
import { hasBody, writeResponseHead } from "#l7/http2/response-head.ts";
import { acceptOf } from "#l7/http2/websocket.ts";
import { type Fields, fieldOf, type RequestHead, type ResponseHead, removeField, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { ClientEvents, ClientStream } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { HttpTimeouts } from "#state/http.ts";

/** How long a body may come more slowly than `minBodyRate`. */
const RATE_GRACE_MS = 10_000;

/** What a stream has of its connection. */
export type StreamHost = {
  readonly arrived: Arrived;
  readonly timeouts: HttpTimeouts;
  nowMs(): number;
  drain(): void;
  /** @param isClients it was the client that cut it off, or made us do so */
  onStreamClose(stream: Http2ClientStream, isClients: boolean): void;
};

/** The stream knows its owner, so that one function hears the events of all. */
const OWNER = Symbol("owner");
type Owned = ServerHttp2Stream & { [OWNER]: Http2ClientStream };

/** A date is the backend's to send (RFC 9110 §6.6.1). Node knows this option, its types do not. */
const OPEN = { sendDate: false } as ServerStreamResponseOptions;
const ENDED: ServerStreamResponseOptions = { ...OPEN, endStream: true };
const WITH_TRAILERS: ServerStreamResponseOptions = { ...OPEN, waitForTrailers: true };

export class Http2ClientStream implements ClientStream {
  readonly arrived: Arrived;
  readonly #stream: Owned;
  readonly #host: StreamHost;
  readonly #request: RequestHead;
  #events: ClientEvents | undefined;
  /** Nothing is told to the exchange any more. */
  #isOver = false;
  /** Cut off by us, and not for what the client did. */
  #isOurs = false;
  #isTunnel = false;

  // the request's body
  #isReading = false;
  #isPaused = false;
  #isBodyOver: boolean;
  #received = 0;
  #trailers: Fields | undefined;
  /** Since when the body is read, less the time for which it was not to come; its last octet. */
  #bodySinceMs = 0;
  #pausedMs = 0;
  #activeMs = 0;

  // the response
  #isEnded = false;
  #takesTrailers = false;
  /** Of a body with a length: what is missing; else `UNKNOWN_LENGTH`. */
  #missing = UNKNOWN_LENGTH;
  #hearsRoom = false;
  #written = 0;
  #taken = 0;
  #takenMs = 0;

  constructor(stream: ServerHttp2Stream, host: StreamHost, request: RequestHead) {
    this.arrived = host.arrived;
    this.#stream = stream as Owned;
    this.#stream[OWNER] = this;
    this.#host = host;
    this.#request = request;
    this.#isBodyOver = request.bodyOctets === 0;
    stream.on("close", onClose);
  }

  /** Unless it was answered from within the call that made them. */
  begin(events: ClientEvents): void {
    if (!this.#isOver) this.#events = events;
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  wantBody(): void {
    if (this.#isOver || this.#isReading || this.#isBodyOver || this.#stream.destroyed) return;
    if (this.#request.expectsContinue && !this.#stream.headersSent) this.#inform({ ":status": 100 });
    this.#read();
  }
  #read(): void {
    const stream = this.#stream;
    this.#isReading = true;
    this.#activeMs = this.#bodySinceMs = this.#host.nowMs();
    stream.on("aborted", onAborted);
    stream.on("trailers", onTrailers);
    stream.on("end", onEnd);
    stream.on("data", onData);
  }
  pauseBody(): void {
    if (!this.#isReading || this.#isPaused) return;
    this.#isPaused = true;
    this.#pausedMs = this.#host.nowMs();
    this.#stream.pause();
  }
  resumeBody(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#activeMs = this.#host.nowMs();
    this.#bodySinceMs += this.#activeMs - this.#pausedMs;
    this.#stream.resume();
  }

  hear(octets: Buffer): void {
    if (this.#isOver) return;
    this.#activeMs = this.#host.nowMs();
    this.#received += octets.length;
    const { bodyOctets } = this.#request;
    if (!this.#isTunnel && bodyOctets !== UNKNOWN_LENGTH && this.#received > bodyOctets) this.#failBody(400);
    else this.#events?.onBody(octets);
  }
  hearTrailers(raw: readonly string[]): void {
    this.#trailers = readTrailers(raw);
  }
  hearEnd(): void {
    if (this.#isOver || this.#isBodyOver) return;
    const { bodyOctets } = this.#request;
    if (!this.#isTunnel && bodyOctets !== UNKNOWN_LENGTH && this.#received !== bodyOctets)
      return void this.#failBody(400);
    this.#isBodyOver = true;
    this.#events?.onBodyEnd(this.#trailers);
    if (this.#isTunnel && this.#isEnded) this.#end();
  }
  hearRoom(): void {
    if (!this.#isOver) this.#events?.onClientRoom();
  }
  /** Reset before the response was complete. */
  hearAborted(): void {
    this.#leave(undefined);
  }
  hearClose(): void {
    const wasOver = this.#isOver;
    this.#leave(undefined);
    this.#host.onStreamClose(this, !this.#isOurs && (!wasOver || this.#stream.rstCode !== NGHTTP2_NO_ERROR));
  }

  // ── what the exchange says ─────────────────────────────────────────────────────────────────────────────────────

  sendInformational(status: number, fields: Fields): void {
    if (!this.#isOver && !this.#stream.headersSent) this.#inform({ ":status": status, ...fieldsObject(fields) });
  }
  #inform(head: Record<string, string | string[] | number>): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#stream.additionalHeaders(head);
  }

  sendHead(head: ResponseHead, isLast: boolean): void {
    const stream = this.#stream;
    if (this.#isOver || stream.destroyed || stream.closed || stream.headersSent) return;
    if (head.status === 101) return void this.#openTunnel(head);
    const { status, bodyOctets } = head;
    this.#isEnded = bodyOctets === 0 || !hasBody(status, this.#request.method);
    this.#missing = bodyOctets;
    this.#takesTrailers = !this.#isEnded && bodyOctets === UNKNOWN_LENGTH && this.#request.takesTrailers;
    if (this.#takesTrailers) stream.on("wantTrailers", onWantTrailers);
    this.#respond(writeResponseHead(head), this.#isEnded ? ENDED : this.#takesTrailers ? WITH_TRAILERS : OPEN);
    if (isLast) this.#host.drain();
  }
  /** 200 opens the tunnel (RFC 8441 §5); whether the backend knew our key is for us to see: there is none in HTTP/2. */
  #openTunnel({ fields }: ResponseHead): void {
    if (fieldOf(fields, "sec-websocket-accept") !== acceptOf(this.#request.fields)) {
      this.#fail(502, NGHTTP2_INTERNAL_ERROR);
      return;
    }
    const kept = fields.slice();
    removeField(kept, "sec-websocket-accept");
    this.#respond(
      writeResponseHead({ status: 200, fields: kept, bodyOctets: UNKNOWN_LENGTH, declaredOctets: undefined }),
      OPEN,
    );
    this.#isTunnel = true;
    this.#isBodyOver = false;
    this.#read();
  }
  #respond(raw: string[], options: ServerStreamResponseOptions): void {
    try {
      // The types of Node know no list of names and values here; it takes one.
      this.#stream.respond(raw as unknown as Record<string, string>, options);
    } catch {
      this.abort(); // a status that HTTP/2 does not have
    }
  }

  sendBody(octets: Uint8Array): boolean {
    const stream = this.#stream;
    if (this.#isOver || this.#isEnded || stream.destroyed || octets.length === 0) return true;
    const nowMs = this.#host.nowMs();
    if (stream.writableLength === 0) this.#takenMs = nowMs;
    this.#written += octets.length;
    const copy = Buffer.from(octets);
    if (this.#missing !== UNKNOWN_LENGTH) {
      this.#missing -= octets.length;
      if (this.#missing < 0) {
        this.#fail(undefined, NGHTTP2_INTERNAL_ERROR); // more than was announced
        return true;
      }
      if (this.#missing === 0) {
        this.#isEnded = true;
        stream.end(copy);
        return true;
      }
    } else if (this.#isTunnel) this.#activeMs = nowMs;
    const hasRoom = stream.write(copy);
    if (!hasRoom && !this.#hearsRoom) {
      this.#hearsRoom = true;
      stream.on("drain", onDrain);
    }
    return hasRoom;
  }
  sendEnd(trailers: Fields | undefined): void {
    const stream = this.#stream;
    if (this.#isOver) return;
    if (!this.#isEnded) {
      if (this.#missing > 0) return void this.abort();
      this.#isEnded = true;
      this.#trailers = trailers;
      if (!stream.destroyed) stream.end();
    }
    if (!this.#isTunnel || this.#isBodyOver) this.#end();
  }
  hearWantTrailers(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    stream.sendTrailers(fieldsObject(this.#trailers ?? []));
    // They leave in the next turn, before this.
    if (!this.#isBodyOver) setImmediate(closeInOrder, stream);
  }

  /** Complete, as far as it is ours. What the client still sends is not wanted (RFC 9113 §8.1). */
  #end(): void {
    this.#isOver = true;
    this.#events = undefined;
    if (this.#isBodyOver) return;
    if (this.#isReading) this.#stream.resume();
    // A head without a body leaves in the next turn, before this.
    if (!this.#takesTrailers) setImmediate(closeInOrder, this.#stream);
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events = undefined;
    this.#cut(this.#isTunnel ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Up to half a second late. */
  check(nowMs: number): void {
    const { bodyMs, minBodyRate, sendMs, tunnelMs } = this.#host.timeouts;
    const { writableLength } = this.#stream;
    const taken = this.#written - writableLength;
    if (writableLength > 0 && taken === this.#taken) {
      if (nowMs - this.#takenMs >= sendMs) return void this.#fail(undefined, NGHTTP2_CANCEL);
    } else {
      this.#taken = taken;
      this.#takenMs = nowMs;
    }
    if (this.#isOver) return;
    if (this.#isTunnel) {
      if (nowMs - this.#activeMs >= tunnelMs) this.#fail(undefined, NGHTTP2_CANCEL);
    } else if (this.#isReading && !this.#isPaused && !this.#isBodyOver) {
      const sinceMs = nowMs - this.#bodySinceMs;
      const isSlow = sinceMs > RATE_GRACE_MS && this.#received * 1000 < minBodyRate * sinceMs;
      if (isSlow || nowMs - this.#activeMs >= bodyMs) this.#fail(408, NGHTTP2_CANCEL);
    }
  }

  /** The body is not what was announced: what went to an HTTP/1.1 backend of it must not be completed by anybody (R26). */
  #failBody(status: number): void {
    this.#leave(status);
    if (!this.#stream.destroyed) this.#stream.close(NGHTTP2_PROTOCOL_ERROR);
  }
  /** @param status to answer with if nothing was answered yet */
  #fail(status: number | undefined, code: number): void {
    const stream = this.#stream;
    if (status !== undefined && !stream.destroyed && !stream.closed && !stream.headersSent) {
      this.#isOurs = true;
      this.#respond([":status", String(status)], ENDED);
      closeInOrder(stream);
      if (this.#isReading) stream.resume();
    } else this.#cut(code);
    this.#leave(status);
  }
  #cut(code: number): void {
    this.#isOurs = true;
    if (!this.#stream.destroyed) this.#stream.close(code);
  }
  /** The client has gone, or has to: the exchange hears it once. */
  leave(): void {
    this.#leave(undefined);
  }
  #leave(status: number | undefined): void {
    if (this.#isOver) return;
    const events = this.#events;
    this.#isOver = true;
    this.#events = undefined;
    events?.onClientGone(status);
  }
}

/** After all that was written. */
function closeInOrder(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.close(NGHTTP2_NO_ERROR);
}

function onClose(this: ServerHttp2Stream): void {
  (this as Owned)[OWNER].hearClose();
}
function onData(this: ServerHttp2Stream, octets: Buffer): void {
  (this as Owned)[OWNER].hear(octets);
}
function onEnd(this: ServerHttp2Stream): void {
  (this as Owned)[OWNER].hearEnd();
}
function onAborted(this: ServerHttp2Stream): void {
  (this as Owned)[OWNER].hearAborted();
}
function onDrain(this: ServerHttp2Stream): void {
  (this as Owned)[OWNER].hearRoom();
}
function onTrailers(this: ServerHttp2Stream, _fields: object, _flags: number, raw: string[]): void {
  (this as Owned)[OWNER].hearTrailers(raw);
}
function onWantTrailers(this: ServerHttp2Stream): void {
  (this as Owned)[OWNER].hearWantTrailers();
}
