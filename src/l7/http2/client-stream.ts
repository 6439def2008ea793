/**
 * One request of a client over HTTP/2, and the response to it, as its exchange sees them.
 *
 * Owns:    where both halves of the stream are (RFC 9113 §5.1): how much of the body came, whether it is what was announced
 *          (R26), and what of it waits; what was sent; and the time limits of both, which are those of HTTP/1.1 (R46).
 * Rule:    a body that nobody wants yet fills the stream's window, and no more.
 * Units:   octets, steady ms.
 * @module
 */
import { isMalformedTrailers, readTrailers } from "#l7/http2/fields.ts";
import type { FrameWriter } from "#l7/http2/frame-writer.ts";
import { CODE, type Code } from "#l7/http2/frames.ts";
import { type Outflow, type OutOwner, OutStream } from "#l7/http2/outflow.ts";
import { hasBody } from "#l7/http2/response-head.ts";
import { acceptOf } from "#l7/http2/websocket.ts";
import { type Fields, fieldOf, type RequestHead, type ResponseHead, removeField, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { ClientEvents, ClientStream } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { HttpTimeouts } from "#state/http.ts";

/** How long a body may come more slowly than `minBodyRate`. */
const RATE_GRACE_MS = 10_000;
/**
 * So long at least goes by between our last word and the reset that says that the rest of the request is not wanted: curl
 * 7.88 forgets a response that it reads together with that.
 */
const LAST_WORD_MS = 100;
/** What was taken is given back to a window when it is so much of it. */
export const WINDOW_SHARE = 0.5;

/** What a stream has of its connection. */
export type StreamHost = {
  readonly arrived: Arrived;
  readonly timeouts: HttpTimeouts;
  readonly writer: FrameWriter;
  readonly outflow: Outflow;
  /** Of each stream, as we have announced it. */
  readonly windowOctets: number;
  nowMs(): number;
  drain(): void;
  /**
   * It is closed, both ways.
   * @param isClients it was the client that cut it off, or made us do so
   */
  onStreamClose(stream: Http2ClientStream, isClients: boolean): void;
};

export class Http2ClientStream implements ClientStream, OutOwner {
  readonly arrived: Arrived;
  readonly out: OutStream;
  /** The client has sent END_STREAM. */
  hasEnded: boolean;
  readonly #host: StreamHost;
  readonly #request: RequestHead;
  #events: ClientEvents | undefined;
  /** Nothing is told to the exchange any more. */
  #isOver = false;
  /** The stream is none any more. */
  #isClosed = false;
  #isTunnel = false;

  // the request's body
  #isReading = false;
  #isPaused = false;
  /** Its end was told, or is not to be told. */
  #isBodyOver: boolean;
  #received = 0;
  /** What came and is not wanted yet. */
  #held: Buffer[] | undefined;
  #trailers: Fields | undefined;
  #windowOctets: number;
  /** That were taken, and not given back to the window. */
  #taken = 0;
  /** Since when the body is read, less the time for which it was not to come; its last octet. */
  #bodySinceMs = 0;
  #pausedMs = 0;
  #activeMs = 0;

  // the response
  #isAnswered = false;
  /** All of it was said. */
  #isEnded = false;
  #takesTrailers = false;
  /** When the last of it was sent, before the client had ended; undefined: that is not so. */
  #lastWordMs: number | undefined;
  /** Of a body with a length: what is missing; else `UNKNOWN_LENGTH`. */
  #missing = UNKNOWN_LENGTH;

  constructor(id: number, host: StreamHost, request: RequestHead, hasEnded: boolean) {
    this.arrived = host.arrived;
    this.out = new OutStream(id, host.outflow.initialOctets, this);
    this.hasEnded = hasEnded;
    this.#host = host;
    this.#request = request;
    this.#isBodyOver = request.bodyOctets === 0;
    this.#windowOctets = host.windowOctets;
  }

  /** Unless it was answered from within the call that made them. */
  begin(events: ClientEvents): void {
    if (!this.#isOver) this.#events = events;
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A DATA frame begins. @returns whether what it holds is to be shown */
  hearFrame(octets: number, bodyOctets: number): boolean {
    if (this.hasEnded) this.breakOff(CODE.streamClosed);
    else if (octets > this.#windowOctets) this.breakOff(CODE.flowControl);
    else {
      this.#windowOctets -= octets;
      this.#take(octets - bodyOctets);
      return true;
    }
    return false;
  }
  hear(octets: Buffer): void {
    if (this.#isClosed) return;
    this.#received += octets.length;
    if (this.#isOver) {
      if (!this.out.isOver) this.#take(octets.length);
      return;
    }
    this.#activeMs = this.#host.nowMs();
    const { bodyOctets, upgrade } = this.#request;
    if (upgrade === undefined && bodyOctets !== UNKNOWN_LENGTH && this.#received > bodyOctets) this.#failBody();
    else if (!this.#isReading || this.#isPaused || this.#held !== undefined) {
      this.#held ??= [];
      this.#held.push(Buffer.from(octets));
    } else this.#show(octets);
  }
  hearTrailers(raw: readonly string[]): void {
    if (isMalformedTrailers(raw)) this.#failBody();
    else {
      this.#trailers = readTrailers(raw);
      this.hearEnd();
    }
  }
  hearEnd(): void {
    if (this.#isClosed) return;
    this.hasEnded = true;
    const { bodyOctets, upgrade } = this.#request;
    if (this.#isOver) this.#closeIfDone();
    else if (upgrade === undefined && bodyOctets !== UNKNOWN_LENGTH && this.#received !== bodyOctets) this.#failBody();
    else if (this.#isReading && !this.#isPaused && this.#held === undefined) this.#endBody();
  }
  hearReset(code: number): void {
    const wasOver = this.#isOver;
    this.#tellGone(undefined);
    this.#close(!wasOver || code !== CODE.none);
  }

  wantBody(): void {
    if (this.#isOver || this.#isReading || this.#isBodyOver) return;
    if (this.#request.expectsContinue && !this.#isAnswered && this.#received === 0)
      this.#host.writer.informational(this.out.id, 100, []);
    this.#read();
  }
  #read(): void {
    this.#isReading = true;
    this.#activeMs = this.#bodySinceMs = this.#host.nowMs();
    this.#showHeld();
  }
  pauseBody(): void {
    if (!this.#isReading || this.#isPaused) return;
    this.#isPaused = true;
    this.#pausedMs = this.#host.nowMs();
  }
  resumeBody(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#activeMs = this.#host.nowMs();
    this.#bodySinceMs += this.#activeMs - this.#pausedMs;
    this.#showHeld();
  }
  #showHeld(): void {
    while (this.#held !== undefined && !this.#isPaused && !this.#isOver) {
      const octets = this.#held.shift()!;
      if (this.#held.length === 0) this.#held = undefined;
      this.#show(octets);
    }
    if (this.hasEnded && this.#held === undefined && !this.#isPaused && !this.#isOver) this.#endBody();
  }
  #show(octets: Buffer): void {
    this.#events?.onBody(octets);
    this.#take(octets.length);
  }
  #endBody(): void {
    if (this.#isBodyOver) return;
    this.#isBodyOver = true;
    this.#events?.onBodyEnd(this.#trailers);
    if (this.#isTunnel && this.#isEnded) this.#end();
  }
  /** Gives what was taken back to the window, when it is worth a frame. */
  #take(octets: number): void {
    if (octets === 0 || this.hasEnded || this.#isClosed) return;
    this.#taken += octets;
    if (this.#taken < this.#host.windowOctets * WINDOW_SHARE) return;
    this.#windowOctets += this.#taken;
    this.#host.writer.window(this.out.id, this.#taken);
    this.#taken = 0;
  }

  // ── what the exchange says ─────────────────────────────────────────────────────────────────────────────────────

  sendInformational(status: number, fields: Fields): void {
    if (!this.#isOver && !this.#isAnswered) this.#host.writer.informational(this.out.id, status, fields);
  }
  sendHead(head: ResponseHead, isLast: boolean): void {
    const { status, bodyOctets } = head;
    if (this.#isOver || this.#isAnswered) return;
    if (status === 101) return void this.#openTunnel(head);
    if (status < 200 || status > 999) return void this.abort(); // HTTP/2 does not have it
    this.#isEnded = bodyOctets === 0 || !hasBody(status, this.#request.method);
    this.#missing = bodyOctets;
    this.#takesTrailers = bodyOctets === UNKNOWN_LENGTH && this.#request.takesTrailers;
    this.#sendHead(head, this.#isEnded);
    if (isLast) this.#host.drain();
  }
  #sendHead(head: ResponseHead, isEnd: boolean): void {
    this.#isAnswered = true;
    if (isEnd) this.out.isOver = true;
    this.#host.writer.head(this.out.id, head, isEnd);
  }
  /** 200 opens the tunnel (RFC 8441 §5); whether the backend knew our key is for us to see: there is none in HTTP/2. */
  #openTunnel({ fields }: ResponseHead): void {
    if (fieldOf(fields, "sec-websocket-accept") !== acceptOf(this.#request.fields)) {
      this.#fail(502, CODE.internal);
      return;
    }
    const kept = fields.slice();
    removeField(kept, "sec-websocket-accept");
    this.#sendHead({ status: 200, fields: kept, bodyOctets: UNKNOWN_LENGTH, declaredOctets: undefined }, false);
    this.#isTunnel = true;
    this.#isBodyOver = false;
    this.#read();
  }

  sendBody(octets: Uint8Array): boolean {
    if (this.#isOver || this.#isEnded || octets.length === 0) return true;
    if (this.#missing !== UNKNOWN_LENGTH) {
      this.#missing -= octets.length;
      if (this.#missing < 0) {
        this.#fail(undefined, CODE.internal); // more than was announced
        return true;
      }
      this.#isEnded = this.#missing === 0;
    } else if (this.#isTunnel) this.#activeMs = this.#host.nowMs();
    return this.#host.outflow.send(this.out, octets, this.#isEnded);
  }
  sendEnd(trailers: Fields | undefined): void {
    if (this.#isOver) return;
    if (!this.#isEnded) {
      if (this.#missing > 0) return void this.abort();
      this.#isEnded = true;
      this.#host.outflow.end(this.out, this.#takesTrailers ? trailers : undefined);
    }
    if (!this.#isTunnel || this.#isBodyOver) this.#end();
  }
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events = undefined;
    this.#cut(this.#isTunnel ? CODE.cancel : CODE.internal, false);
  }

  onOutRoom(): void {
    if (!this.#isOver) this.#events?.onClientRoom();
  }
  onOutEnd(): void {
    if (this.#isOver) this.#closeIfDone();
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Up to half a second late. */
  check(nowMs: number): void {
    const { bodyMs, minBodyRate, sendMs, tunnelMs } = this.#host.timeouts;
    if (this.out.waiting > 0 && nowMs - this.out.movedMs >= sendMs) return void this.#fail(undefined, CODE.cancel);
    if (this.#lastWordMs !== undefined && nowMs - this.#lastWordMs >= LAST_WORD_MS) this.#cut(CODE.none, false);
    if (this.#isOver) return;
    if (this.#isTunnel) {
      if (nowMs - this.#activeMs >= tunnelMs) this.#fail(undefined, CODE.cancel);
    } else if (this.#isReading && !this.#isPaused && !this.#isBodyOver) {
      const sinceMs = nowMs - this.#bodySinceMs;
      const isSlow = sinceMs > RATE_GRACE_MS && this.#received * 1000 < minBodyRate * sinceMs;
      if (isSlow || nowMs - this.#activeMs >= bodyMs) this.#fail(408, CODE.cancel);
    }
  }
  /** The client has gone with its connection, or has to. */
  leave(): void {
    this.#tellGone(undefined);
    this.#isClosed = true;
    this.#held = undefined;
    this.#host.outflow.drop(this.out);
  }
  /** The client broke a rule of streams. */
  breakOff(code: Code): void {
    this.#tellGone(undefined);
    this.#cut(code, true);
  }
  /** The body is not what was announced: what went to an HTTP/1.1 backend of it must not be completed by anybody (R26). */
  #failBody(): void {
    this.#tellGone(400);
    this.#cut(CODE.protocol, true);
  }
  /** @param status to answer with if nothing was answered yet */
  #fail(status: number | undefined, code: Code): void {
    if (status === undefined || this.#isAnswered) {
      this.#tellGone(status);
      this.#cut(code, false);
      return;
    }
    this.#sendHead({ status, fields: [], bodyOctets: 0, declaredOctets: undefined }, true);
    this.#tellGone(status);
    this.#closeIfDone();
  }
  /** Complete, as far as the exchange is concerned. */
  #end(): void {
    this.#isOver = true;
    this.#events = undefined;
    this.#held = undefined;
    this.#closeIfDone();
  }
  /** What the client still sends after our last word is not wanted (RFC 9113 §8.1). */
  #closeIfDone(): void {
    if (!this.out.isOver || this.#isClosed) return;
    if (this.hasEnded) this.#close(false);
    else this.#lastWordMs ??= this.#host.nowMs();
  }
  #cut(code: Code, isClients: boolean): void {
    if (this.#isClosed) return;
    this.#host.writer.reset(this.out.id, code);
    this.#close(isClients);
  }
  #close(isClients: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held = undefined;
    this.#host.outflow.drop(this.out);
    this.#host.onStreamClose(this, isClients);
  }
  /** The exchange hears it once. */
  #tellGone(status: number | undefined): void {
    if (this.#isOver) return;
    const events = this.#events;
    this.#isOver = true;
    this.#events = undefined;
    this.#held = undefined;
    events?.onClientGone(status);
  }
}
