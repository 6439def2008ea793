/**
 * One request to a backend over HTTP/2, and its response, as its exchange sees them.
 *
 * Owns:    the stream of `node:http2`, from the moment it has a session; what of the bodies is missing; what a failure means
 *          for who may want to try again.
 * Rule:    a stream that the backend says it did not look at (REFUSED_STREAM, or above the last one of its GOAWAY) counts as
 *          not sent (RFC 9113 §8.7).
 * Units:   octets.
 * @module
 */
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { Readable } from "node:stream";
import { fieldsObject, readTrailers } from "#l7/http2/fields.ts";
import { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM } from "#l7/http2/options.ts";
import { isGrpc, writeRequestHead } from "#l7/http2/request-writer.ts";
import { hasBody, readResponseHead } from "#l7/http2/response-head.ts";
import { acceptOf } from "#l7/http2/websocket.ts";
import { type Fields, type ResponseHead, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { OutboundRequest, UpstreamEvents, UpstreamFault, UpstreamStream } from "#l7/stream.ts";
import type { UpstreamSpec } from "#state/http.ts";

/** What a stream has of its session. */
export type StreamSession = {
  readonly client: ClientHttp2Session;
  readonly isSecure: boolean;
  /** Of the backend's GOAWAY. */
  readonly lastStream: number;
  /** Why it was dropped, if we dropped it. */
  readonly dropped: UpstreamFault["kind"] | undefined;
  onStreamClose(stream: Http2UpstreamStream): void;
};

const OWNER = Symbol("owner");
/** Whether the end that was pushed first was that of a reset. */
const CUT = Symbol("cut");
type Owned = ClientHttp2Stream & { [OWNER]: Http2UpstreamStream; [CUT]?: boolean };

export class Http2UpstreamStream implements UpstreamStream {
  readonly request: OutboundRequest;
  #events: UpstreamEvents | undefined;
  #session: StreamSession | undefined;
  #stream: Owned | undefined;
  #isOver = false;
  #isReused = false;
  #hasAnswered = false;
  #errorCode: string | undefined;
  #isTunnel = false;
  #passesTrailers = false;

  // the request's body
  #isRequestOver = false;
  #unsent: number;
  #trailers: Fields | undefined;
  #hearsRoom = false;

  // the response
  #isHeadRead = false;
  #isResponseOver = false;
  #missing = UNKNOWN_LENGTH;
  #received: Fields | undefined;

  constructor(request: OutboundRequest, events: UpstreamEvents) {
    this.request = request;
    this.#events = events;
    this.#unsent = request.bodyOctets;
  }
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends the head. @param micros that the connect took; 0: the session stood already */
  begin(session: StreamSession, spec: UpstreamSpec, isReused: boolean, micros: number): void {
    const { request } = this;
    this.#session = session;
    this.#isReused = isReused;
    this.#passesTrailers = spec.passesTrailers || isGrpc(request.fields);
    const stream = this.#open(session, spec);
    if (stream === undefined) return;
    this.#stream = stream;
    stream[OWNER] = this;
    stream.on("error", onError);
    stream.on("close", onClose);
    stream.on("headers", onHeaders);
    stream.on("response", onResponse);
    this.#events?.onUpstreamReady(micros);
  }
  #open(session: StreamSession, spec: UpstreamSpec): Owned | undefined {
    const { request } = this;
    this.#isRequestOver = request.bodyOctets === 0 && request.upgrade === undefined;
    if (request.upgrade !== undefined && session.client.remoteSettings.enableConnectProtocol !== true) {
      this.#failSoon("The backend takes no WebSockets over HTTP/2");
      return undefined;
    }
    const raw = writeRequestHead(request, spec, session.isSecure, this.#passesTrailers);
    if (raw === undefined) {
      this.#failSoon("The request cannot be written as HTTP/2");
      return undefined;
    }
    const waitForTrailers = this.#passesTrailers && request.bodyOctets === UNKNOWN_LENGTH;
    const stream = session.client.request(raw, { endStream: this.#isRequestOver, waitForTrailers }) as Owned;
    if (waitForTrailers) stream.on("wantTrailers", onWantTrailers);
    return stream;
  }

  // ── the request ────────────────────────────────────────────────────────────────────────────────────────────────

  sendBody(octets: Uint8Array): boolean {
    const stream = this.#stream;
    if (stream === undefined || this.#isRequestOver || this.#isOver || octets.length === 0 || stream.destroyed)
      return true;
    if (!this.#isTunnel && this.#unsent !== UNKNOWN_LENGTH) {
      if (octets.length > this.#unsent) return true; // more than was announced
      this.#unsent -= octets.length;
    }
    const hasRoom = stream.write(Buffer.from(octets));
    if (!hasRoom && !this.#hearsRoom) {
      this.#hearsRoom = true;
      stream.on("drain", onDrain);
    }
    return hasRoom;
  }
  sendEnd(trailers: Fields | undefined): void {
    const stream = this.#stream;
    if (stream === undefined || this.#isRequestOver || this.#isOver) return;
    this.#isRequestOver = true;
    // What is shorter than was announced must not look complete.
    if (!this.#isTunnel && this.#unsent > 0) return void stream.close(NGHTTP2_CANCEL);
    this.#trailers = trailers;
    if (!stream.destroyed) stream.end();
    if (this.#isTunnel && this.#isResponseOver) this.#leave();
  }
  hearWantTrailers(): void {
    const stream = this.#stream!;
    if (!stream.destroyed && !stream.closed) stream.sendTrailers(fieldsObject(this.#trailers ?? []));
  }
  hearRoom(): void {
    if (!this.#isOver) this.#events?.onUpstreamRoom();
  }
  pause(): void {
    this.#stream?.pause();
  }
  resume(): void {
    this.#stream?.resume();
  }
  cancel(): void {
    if (this.#isOver) return;
    this.#leave();
    this.#cut(NGHTTP2_CANCEL);
  }
  #cut(code: number): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed) return;
    stream.close(code);
    stream.resume(); // what was not read would keep it
  }

  // ── the response ───────────────────────────────────────────────────────────────────────────────────────────────

  hearInformational(raw: readonly string[]): void {
    if (this.#isOver || this.#isHeadRead) return;
    this.#hasAnswered = true;
    const head = readResponseHead(raw, false, this.request.method);
    if (typeof head === "string") this.#break(head);
    else if (head.status === 100) this.#events?.onUpstreamContinue();
    else this.#events?.onInformational(head.status, head.fields);
  }
  hearResponse(raw: readonly string[], isEnded: boolean): void {
    const stream = this.#stream!;
    if (this.#isOver) return;
    this.#hasAnswered = true;
    const head = readResponseHead(raw, isEnded, this.request.method);
    if (typeof head === "string") return void this.#break(head);
    if (head.status < 200) return void this.#break("An interim response ends the stream");
    this.#isHeadRead = true;
    if (this.request.upgrade !== undefined && head.status === 200) return void this.#switch(head);
    this.#missing = hasBody(head.status, this.request.method) ? head.bodyOctets : 0;
    this.#events?.onHead(head);
    if (this.#isOver) return;
    if (isEnded) this.hearEnd();
    else this.#read(stream);
  }
  #read(stream: Owned): void {
    if (this.#missing === UNKNOWN_LENGTH) stream.push = pushUnlessReset;
    stream.on("trailers", onTrailers);
    stream.on("end", onEnd);
    stream.on("data", onData);
  }
  /** As if it were an upgrade of HTTP/1.1 (`websocket.ts`). */
  #switch({ fields }: ResponseHead): void {
    this.#isTunnel = true;
    this.#missing = UNKNOWN_LENGTH;
    const accept = acceptOf(this.request.fields);
    if (accept !== undefined) fields.push("sec-websocket-accept", accept);
    this.#events?.onHead({ status: 101, fields, bodyOctets: 0, declaredOctets: undefined });
    if (!this.#isOver) this.#read(this.#stream!);
  }
  hear(octets: Buffer): void {
    if (this.#isOver) return;
    if (this.#missing !== UNKNOWN_LENGTH) {
      this.#missing -= octets.length;
      if (this.#missing < 0) return void this.#break("The body is longer than Content-Length");
    }
    this.#events?.onUpstreamBody(octets);
  }
  hearTrailers(raw: readonly string[]): void {
    this.#received = readTrailers(raw);
  }
  hearEnd(): void {
    const stream = this.#stream!;
    // A reset ends what is read as well.
    if (this.#isOver || this.#isResponseOver || stream.rstCode !== NGHTTP2_NO_ERROR) return;
    if (this.#missing > 0) return void this.#break("The body is shorter than Content-Length");
    if (stream[CUT] === true) return void this.#break("The stream was reset before its end");
    this.#isResponseOver = true;
    const events = this.#events;
    const isOver = !this.#isTunnel || this.#isRequestOver;
    if (isOver) {
      this.#leave();
      if (this.#isRequestOver) this.#stream!.resume();
      else this.#cut(NGHTTP2_NO_ERROR); // nobody waits for the rest of the request
    }
    events?.onUpstreamEnd(this.#passesTrailers ? this.#received : undefined);
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  hearError(code: string | undefined): void {
    this.#errorCode = code;
  }
  hearClose(): void {
    const session = this.#session!;
    session.onStreamClose(this);
    if (this.#isOver) return;
    const { rstCode, id } = this.#stream!;
    const isUnseen =
      rstCode === NGHTTP2_REFUSED_STREAM || id === undefined || (session.lastStream >= 0 && id > session.lastStream);
    if (isUnseen) return void this.fail("reset", "The backend did not take the request", false);
    if (session.dropped !== undefined)
      return void this.fail(session.dropped, "The connection to the backend was dropped", true);
    // Node knows what nghttp2 saw by this name.
    if (rstCode === NGHTTP2_PROTOCOL_ERROR || this.#errorCode === "ERR_HTTP2_ERROR")
      return void this.fail("bad-response", "The backend broke a rule of HTTP/2", true);
    this.fail("reset", `The backend ended the stream (${rstCode})`, true);
  }
  /** It broke a rule that nghttp2 does not look at. */
  #break(says: string): void {
    this.fail("bad-response", says, true);
    this.#cut(NGHTTP2_PROTOCOL_ERROR);
  }
  fail(kind: UpstreamFault["kind"], says: string, hasSent: boolean): void {
    if (this.#isOver) return;
    const events = this.#events;
    this.#leave();
    events?.onUpstreamFault({ kind, isReused: this.#isReused, hasAnswered: this.#hasAnswered, hasSent, says });
  }
  /** Never from within `open`. */
  #failSoon(says: string): void {
    queueMicrotask(() => {
      this.#session?.onStreamClose(this);
      this.fail("other", says, false);
    });
  }
  #leave(): void {
    this.#isOver = true;
    this.#events = undefined;
  }
}

/**
 * Node lets a stream end in the same way whether END_STREAM came or RST_STREAM with NO_ERROR; but of the latter it is closed
 * already when its end is pushed. Without that a response without length could be cut short unseen.
 */
function pushUnlessReset(this: Readable, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && (this as Owned).closed && !this.readableEnded) (this as Owned)[CUT] ??= true;
  else if (chunk === null) (this as Owned)[CUT] = false;
  return Readable.prototype.push.call(this, chunk, encoding);
}

const hasEnded = (flags: number): boolean => (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;

function onError(this: ClientHttp2Stream, error: NodeJS.ErrnoException): void {
  (this as Owned)[OWNER].hearError(error.code);
}
function onClose(this: ClientHttp2Stream): void {
  (this as Owned)[OWNER].hearClose();
}
function onHeaders(this: ClientHttp2Stream, _fields: object, _flags: number, raw: string[]): void {
  (this as Owned)[OWNER].hearInformational(raw);
}
function onResponse(this: ClientHttp2Stream, _fields: object, flags: number, raw: string[]): void {
  (this as Owned)[OWNER].hearResponse(raw, hasEnded(flags));
}
function onTrailers(this: ClientHttp2Stream, _fields: object, _flags: number, raw: string[]): void {
  (this as Owned)[OWNER].hearTrailers(raw);
}
function onData(this: ClientHttp2Stream, octets: Buffer): void {
  (this as Owned)[OWNER].hear(octets);
}
function onEnd(this: ClientHttp2Stream): void {
  (this as Owned)[OWNER].hearEnd();
}
function onDrain(this: ClientHttp2Stream): void {
  (this as Owned)[OWNER].hearRoom();
}
function onWantTrailers(this: ClientHttp2Stream): void {
  (this as Owned)[OWNER].hearWantTrailers();
}
