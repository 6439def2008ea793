/**
 * One HTTP/1.1 connection to a backend: requests one after the other, each with its response.
 *
 * Owns:    the conn, from the connect on; where in a request and its response it is.
 * Rule:    it is used again only where nothing is left to doubt: the request was sent whole, the response was read whole by
 *          its own framing, nothing came after it, both wanted to go on, and it never carried an Upgrade. What comes while
 *          nobody asked is nobody's answer: it ends the connection (CVE-2026-48931, CVE-2026-58055).
 * Units:   octets, steady ms.
 * @module
 */
import { Deadline, type DeadlineOwner, type Deadlines } from "#l7/exchange/deadlines.ts";
import { createBodyReader } from "#l7/http1/body-reader.ts";
import type { BodyReader, BodySink, HeadLimits, ParsedResponse } from "#l7/http1/parse.ts";
import { parseResponseHead } from "#l7/http1/response-head.ts";
import { ResponseMemo } from "#l7/http1/response-memo.ts";
import { bindsClient, isBinding } from "#l7/http1/upstream-auth.ts";
import { CHUNK_END, chunkHead, writeLastChunk } from "#l7/http1/write-body.ts";
import { writeRequestHead } from "#l7/http1/write-head.ts";
import { type Fields, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { OutboundRequest, UpstreamEvents, UpstreamFault, UpstreamStream } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { ConnectFault, StreamOwner, TcpAddress, TcpConn, TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import type { UpstreamSpec } from "#state/http.ts";

/** How much sooner than the backend says it will close an idle connection we let go of it. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

const STATE = {
  connecting: 0,
  idle: 1,
  /** A request is under way. */
  busy: 2,
  /** After 101: raw octets. */
  tunnel: 3,
  over: 4,
} as const;
type State = (typeof STATE)[keyof typeof STATE];

/** What connections of one pool have in common. */
export type UpstreamSettings = {
  readonly driver: TcpDriver;
  readonly limits: HeadLimits;
  readonly deadlines: Deadlines;
  monotonicMs(): number;
  /** As configured now. */
  spec(): UpstreamSpec;
};

/** The connections to one backend. */
export type UpstreamRow = {
  /** @returns false: there are enough that stand idle */
  rest(connection: UpstreamConnection): boolean;
  /** It is over. */
  left(connection: UpstreamConnection): void;
};

/** How a new connection is made. */
export type Dial = {
  readonly to: TcpAddress;
  readonly timeoutMs: number;
  /** Goes before all else: a PROXY header. */
  readonly head: Uint8Array | undefined;
  readonly tls: TlsUpstreamTerms | undefined;
};

/** A request's end of its connection: nothing that an exchange does late reaches the next request. */
class RequestStream implements UpstreamStream {
  connection: UpstreamConnection | undefined;

  constructor(connection: UpstreamConnection) {
    this.connection = connection;
  }
  sendBody(octets: Uint8Array): boolean {
    return this.connection?.sendBody(octets) ?? true;
  }
  sendEnd(trailers: Fields | undefined): void {
    this.connection?.sendEnd(trailers);
  }
  pause(): void {
    this.connection?.pause();
  }
  resume(): void {
    this.connection?.resume();
  }
  cancel(): void {
    this.connection?.cancel();
  }
}

export class UpstreamConnection implements StreamOwner, BodySink, DeadlineOwner {
  /** Whose alone it is: it carries what identifies a client (PROXY header, NTLM). */
  pinnedTo: Arrived | undefined;
  /** A client has made itself known on it (NTLM, Negotiate): its requests must come here, whatever may happen to them. */
  isBound = false;
  /** It takes no further request. */
  isLeaving = false;
  idleSinceMs = 0;
  /** Of SNI: a connection to one name is not used for another. */
  readonly serverName: string | undefined;

  readonly #settings: UpstreamSettings;
  readonly #row: UpstreamRow;
  readonly #reader: BodyReader;
  readonly #memo: ResponseMemo = new ResponseMemo();
  readonly #deadline: Deadline = new Deadline(this);
  #state: State = STATE.connecting;
  #conn: TcpConn | undefined;
  #giveUp: (() => void) | undefined;
  #held: Buffer | undefined;
  #isPaused = false;
  #served = 0;
  #idleUntilMs = 0;
  /** Of a tunnel. */
  #hasEnded = false;
  #isFinished = false;

  // of the request under way
  #stream: RequestStream | undefined;
  #events: UpstreamEvents | undefined;
  #request: OutboundRequest | undefined;
  #arrived: Arrived | undefined;
  #isRequestOver = false;
  /** Of a body with a length: what is missing. */
  #missing = 0;
  #hasSent = false;
  #hasAnswered = false;
  #isBody = false;
  #isResponseOver = false;
  #trailers: Fields | undefined;
  #persists = false;
  #keepAliveMs: number | undefined;

  constructor(settings: UpstreamSettings, row: UpstreamRow, pinnedTo: Arrived | undefined, serverName?: string) {
    this.#settings = settings;
    this.#row = row;
    this.pinnedTo = pinnedTo;
    this.serverName = serverName;
    this.#reader = createBodyReader(settings.limits);
  }

  /** Connects, and sends this request first. */
  dial(dial: Dial, request: OutboundRequest, arrived: Arrived, events: UpstreamEvents): UpstreamStream {
    const stream = this.#take(request, arrived, events);
    const sinceMs = this.#settings.monotonicMs();
    const { driver } = this.#settings;
    this.#giveUp = driver.connect(dial.to, dial.timeoutMs, (result) => {
      this.#giveUp = undefined;
      if (typeof result === "string") return void this.#fail(CONNECT_KINDS[result], CONNECT_SAYS[result]);
      this.#conn = result;
      if (dial.tls === undefined) this.#stand(dial.head, sinceMs);
      else this.#shakeHands(dial, dial.tls, sinceMs);
    });
    return stream;
  }
  #shakeHands(dial: Dial, terms: TlsUpstreamTerms, sinceMs: number): void {
    const { driver } = this.#settings;
    const conn = this.#conn!;
    if (driver.startTlsClient === undefined) return void this.#fail("tls", "TLS is not spoken here");
    driver.startTlsClient(conn, dial.head === undefined ? terms : { ...terms, head: dial.head }, (agreement, why) => {
      if (this.#state !== STATE.connecting) return;
      if (agreement === undefined) this.#fail("tls", `The TLS handshake failed: ${why}`);
      else this.#stand(undefined, sinceMs);
    });
  }
  #stand(head: Uint8Array | undefined, sinceMs: number): void {
    const conn = this.#conn!;
    conn.stream(this);
    if (head !== undefined) conn.write(head);
    this.#begin(Math.max(1, Math.round((this.#settings.monotonicMs() - sinceMs) * 1_000)));
  }

  /** Sends a request on this connection, which stands idle. */
  send(request: OutboundRequest, arrived: Arrived, events: UpstreamEvents): UpstreamStream {
    const stream = this.#take(request, arrived, events);
    this.#begin(0);
    return stream;
  }

  #take(request: OutboundRequest, arrived: Arrived, events: UpstreamEvents): UpstreamStream {
    this.#request = request;
    this.#arrived = arrived;
    this.#events = events;
    this.#hasSent = false;
    this.#hasAnswered = false;
    this.#stream = new RequestStream(this);
    return this.#stream;
  }
  #begin(connectMicros: number): void {
    const request = this.#request!;
    this.#state = STATE.busy;
    this.#served++;
    this.#isRequestOver = request.bodyOctets === 0;
    this.#missing = request.bodyOctets;
    this.#isBody = false;
    this.#isResponseOver = false;
    this.#persists = false;
    this.#trailers = undefined;
    if (!this.isBound && bindsClient(request.fields)) this.#bind();
    const head = writeRequestHead(request, this.#settings.spec());
    if (head === undefined) {
      // Never from within `open`.
      queueMicrotask(() => {
        if (this.#request === request) this.#fail("other", "The request cannot be written as HTTP/1.1");
      });
      return;
    }
    this.#hasSent = true;
    this.#conn!.writeText(head);
    this.#events!.onUpstreamReady(connectMicros);
  }
  /** From here on it belongs to this client alone. */
  #bind(): void {
    this.isBound = true;
    this.pinnedTo = this.#arrived;
  }

  // ── the request ────────────────────────────────────────────────────────────────────────────────────────────────

  sendBody(octets: Uint8Array): boolean {
    const conn = this.#conn;
    if (conn === undefined || octets.length === 0) return true;
    if (this.#state === STATE.tunnel) return conn.write(octets);
    if (this.#state !== STATE.busy || this.#isRequestOver) return true;
    if (this.#missing === UNKNOWN_LENGTH) {
      conn.writeText(chunkHead(octets.length));
      conn.write(octets);
      return conn.writeText(CHUNK_END);
    }
    // More than was announced would be read as the next request.
    if (octets.length > this.#missing) return true;
    this.#missing -= octets.length;
    return conn.write(octets);
  }
  sendEnd(trailers: Fields | undefined): void {
    const conn = this.#conn;
    if (conn === undefined) return;
    if (this.#state === STATE.tunnel) {
      this.#isFinished = true;
      if (this.#hasEnded) this.#end();
      else conn.finish();
    } else if (this.#state === STATE.busy && !this.#isRequestOver) {
      if (this.#missing === UNKNOWN_LENGTH)
        conn.writeText(writeLastChunk(this.#settings.spec().passesTrailers ? trailers : undefined));
      // A body that is not as long as was announced leaves the request open: it is not over, and this connection with it.
      this.#isRequestOver = this.#missing <= 0;
    }
  }
  pause(): void {
    if (this.#isPaused || this.#conn === undefined) return;
    this.#isPaused = true;
    this.#conn.pause();
  }
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#conn?.resume();
  }
  cancel(): void {
    if (this.#state !== STATE.over) this.#break();
  }

  // ── the response ───────────────────────────────────────────────────────────────────────────────────────────────

  onOctets(octets: Buffer): void {
    if (this.#state === STATE.tunnel) return void this.#events?.onUpstreamBody(octets);
    // Nobody asked: whoever is served next must not take it for an answer.
    if (this.#state !== STATE.busy) return void this.#break();
    this.#hasAnswered = true;
    let rest = octets;
    if (this.#held !== undefined) {
      rest = Buffer.concat([this.#held, octets]);
      this.#held = undefined;
    }
    const request = this.#request;
    while (!this.#isBody) {
      const length = this.#readHead(rest);
      if (length === 0) this.#held = Buffer.from(rest);
      // The exchange may have ended it from within.
      if (length <= 0 || this.#request !== request) return;
      rest = rest.subarray(length);
      if (this.#isTunnel()) {
        if (rest.length > 0) this.#events?.onUpstreamBody(rest);
        return;
      }
      if (this.#isResponseOver) return void this.#complete(rest.length === 0);
      if (rest.length === 0) return;
    }
    this.#readBody(rest, request);
  }

  #isTunnel(): boolean {
    return this.#state === STATE.tunnel;
  }

  /** @returns octets of the head; 0: it is not complete; -1: it broke a rule */
  #readHead(octets: Buffer): number {
    const request = this.#request!;
    const parse = parseResponseHead(octets, this.#settings.limits, request.method, this.#memo);
    if (parse.kind === "more") return 0;
    if (parse.kind === "bad") {
      this.#fail("bad-response", parse.says);
      return -1;
    }
    const { head } = parse;
    if (head.status === 101) return this.#switch(parse);
    if (head.status < 200) {
      if (head.status === 100) this.#events!.onUpstreamContinue();
      else this.#events!.onInformational(head.status, head.fields);
      return parse.length;
    }
    this.#reader.begin(parse.framing, Number.POSITIVE_INFINITY);
    this.#isResponseOver = this.#reader.isOver;
    this.#isBody = !this.#isResponseOver;
    this.#persists = parse.persists;
    this.#keepAliveMs = parse.keepAliveMs;
    if (!this.isBound && head.status === 401 && isBinding(head.fields)) this.#bind();
    this.#events!.onHead(head);
    return parse.length;
  }
  #switch({ head, length, upgrade }: ParsedResponse): number {
    const asked = this.#request!.upgrade;
    if (asked === undefined || asked !== upgrade) {
      this.#fail("bad-response", "101 answers a request that did not ask for it");
      return -1;
    }
    this.#state = STATE.tunnel;
    this.#events!.onHead(head);
    return length;
  }

  #readBody(octets: Buffer, request: OutboundRequest | undefined): void {
    const consumed = this.#reader.feed(octets, this);
    if (this.#request !== request) return;
    if (typeof consumed !== "number") this.#fail("bad-response", consumed.says);
    else if (this.#isResponseOver) this.#complete(consumed === octets.length);
  }
  /** Of the body reader. */
  onBody(octets: Buffer): void {
    this.#events?.onUpstreamBody(octets);
  }
  /** Of the body reader. */
  onBodyEnd(trailers: Fields | undefined): void {
    this.#isResponseOver = true;
    this.#trailers = trailers;
  }

  /** @param isClean nothing came after the response */
  #complete(isClean: boolean): void {
    const events = this.#events!;
    const trailers = this.#trailers;
    const request = this.#request!;
    this.#detach();
    const isReusable = isClean && this.#persists && this.#isRequestOver && request.upgrade === undefined;
    if (!isReusable || !this.#rest()) {
      // What was sent beyond the response is nobody's; a request that is not whole must not look so.
      if (isClean && this.#isRequestOver) this.#end();
      else this.#break();
    }
    events.onUpstreamEnd(this.#settings.spec().passesTrailers ? trailers : undefined);
  }
  /** @returns whether it stands idle now */
  #rest(): boolean {
    const { idleMs, maxRequests } = this.#settings.spec();
    const restMs = Math.min(idleMs, (this.#keepAliveMs ?? Number.POSITIVE_INFINITY) - KEEP_ALIVE_MARGIN_MS);
    if (this.isLeaving || restMs <= 0 || (maxRequests > 0 && this.#served >= maxRequests)) return false;
    if (!this.#row.rest(this)) return false;
    this.#state = STATE.idle;
    this.resume();
    const { deadlines } = this.#settings;
    this.idleSinceMs = deadlines.nowMs();
    this.#idleUntilMs = this.idleSinceMs + restMs;
    if (this.#deadline.bucket < 0 || this.#deadline.dueMs > this.#idleUntilMs)
      deadlines.arm(this.#deadline, this.#idleUntilMs);
    return true;
  }
  onDeadline(): void {
    if (this.#state !== STATE.idle) return;
    const { deadlines } = this.#settings;
    if (this.#idleUntilMs > deadlines.nowMs()) deadlines.arm(this.#deadline, this.#idleUntilMs);
    else this.#end();
  }

  onRoom(): void {
    this.#events?.onUpstreamRoom();
  }
  onEnd(): void {
    switch (this.#state) {
      case STATE.tunnel: {
        const events = this.#events;
        this.#hasEnded = true;
        if (this.#isFinished) this.#end();
        events?.onUpstreamEnd(undefined);
        break;
      }
      case STATE.busy:
        // A response that ends with the connection is whole only where TLS says that it ends (RFC 9112 §9.8).
        if (!this.#isBody || this.#conn!.isCut === true || this.#reader.end(this) !== undefined)
          this.#fail("reset", "The backend ended the connection before its response was complete");
        else this.#complete(true);
        break;
      case STATE.idle:
        this.#end();
        break;
    }
  }
  onGone(): void {
    if (this.#state === STATE.over) return;
    const isAsked = this.#events !== undefined;
    if (isAsked) this.#fail("reset", "The backend reset the connection");
    else this.#break();
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  get isIdle(): boolean {
    return this.#state === STATE.idle;
  }
  /** Ends it, and what is under way on it. */
  stop(): void {
    if (this.#state === STATE.over) return;
    if (this.#events !== undefined) this.#fail("reset", "The backend's time to drain is over");
    else this.#break();
  }

  #fail(kind: UpstreamFault["kind"], says: string): void {
    const events = this.#events;
    const fault: UpstreamFault = {
      kind,
      isReused: this.#served > 1,
      hasAnswered: this.#hasAnswered,
      hasSent: this.#hasSent,
      says,
    };
    this.#break();
    events?.onUpstreamFault(fault);
  }
  #break(): void {
    this.#giveUp?.();
    this.#conn?.reset();
    this.#leave();
  }
  #end(): void {
    this.#conn?.close();
    this.#leave();
  }
  #leave(): void {
    this.#state = STATE.over;
    this.#detach();
    this.#held = undefined;
    this.#settings.deadlines.cancel(this.#deadline);
    this.#row.left(this);
  }
  #detach(): void {
    if (this.#stream !== undefined) this.#stream.connection = undefined;
    this.#stream = undefined;
    this.#events = undefined;
    this.#request = undefined;
    this.#arrived = undefined;
  }
}

const CONNECT_KINDS: Readonly<Record<ConnectFault, UpstreamFault["kind"]>> = {
  refused: "refused",
  unreachable: "unreachable",
  timeout: "connect-timeout",
  other: "other",
};
const CONNECT_SAYS: Readonly<Record<ConnectFault, string>> = {
  refused: "The backend refused the connection",
  unreachable: "The backend cannot be reached",
  timeout: "The backend did not accept the connection in time",
  other: "The connection could not be made",
};
