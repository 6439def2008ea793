/**
 * A client's HTTP/1.1 connection: requests one after the other, each with its exchange, until one of both has had enough.
 *
 * Owns:    the conn, where in a request it is, and its time limits. What a client sends ahead waits here, unread, until its
 *          turn has come (RFC 9112 §9.3.2); when it is too much, reading stops.
 * Never:   answers a request by itself, but for one that breaks a rule of framing or comes too slowly.
 * Rule:    an exchange lets go of its stream with `sendEnd`, `abort` and `onClientGone`: what it calls later would reach the
 *          next request. With `sendEnd` the next one may begin, from within the call.
 * Units:   octets, steady ms.
 * @module
 */
import { Deadline, type DeadlineOwner } from "#l7/exchange/deadlines.ts";
import { createBodyReader } from "#l7/http1/body-reader.ts";
import { ClientWriter } from "#l7/http1/client-writer.ts";
import type { BodyReader, BodySink, RequestParse } from "#l7/http1/parse.ts";
import { parseRequestHead } from "#l7/http1/request-head.ts";
import { RequestMemo } from "#l7/http1/request-memo.ts";
import { writeInformational } from "#l7/http1/write-head.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { ClientConnection, ClientEvents, ClientStream, ConnectionHost } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { StreamOwner, TcpConn } from "#net/driver.ts";
import type { HttpSpec } from "#state/http.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
/** How long a body may come more slowly than `minBodyRate`. */
const RATE_GRACE_MS = 10_000;
const EMPTY = Buffer.alloc(0);

const PHASE = {
  /** Between requests. */
  idle: 0,
  /** The beginning of a head has come. */
  head: 1,
  /** A request is under way. */
  exchange: 2,
  /** After 101: raw octets. */
  tunnel: 3,
  /** Our last word was sent: what comes is dropped, until the client ends. */
  lingering: 4,
  over: 5,
} as const;
type Phase = (typeof PHASE)[keyof typeof PHASE];

export type ClientConnectionOptions = {
  readonly arrived: Arrived;
  readonly spec: HttpSpec;
  readonly scheme: "http" | "https";
  readonly host: ConnectionHost;
};

/** Takes a client's conn over. */
export const serveHttp1 = (options: ClientConnectionOptions): ClientConnection => new Http1ClientConnection(options);

class Http1ClientConnection implements ClientConnection, ClientStream, StreamOwner, BodySink, DeadlineOwner {
  readonly arrived: Arrived;
  readonly #conn: TcpConn;
  readonly #spec: HttpSpec;
  readonly #scheme: "http" | "https";
  readonly #host: ConnectionHost;
  readonly #reader: BodyReader;
  readonly #writer: ClientWriter;
  readonly #memo: RequestMemo = new RequestMemo();
  readonly #deadline: Deadline = new Deadline(this);

  #phase: Phase = PHASE.idle;
  /** Since when it is in this phase; of a head, since its first octet. */
  #sinceMs: number;
  /** Last octet either way that a limit looks at. */
  #activeMs: number;
  /** Came and was not read. */
  #held: Buffer | undefined;
  #isReading = false;
  #isPaused = false;
  /** The client's half is over. */
  #hasEnded = false;
  #isDraining = false;
  #requests = 0;

  // of the request under way
  #events: ClientEvents | undefined;
  #head: RequestHead | undefined;
  #persists = false;
  #wantsBody = false;
  #isBodyOver = true;
  #bodyOctets = 0;
  /** Since when the body is read, less the time for which it was not to come. */
  #bodySinceMs = 0;
  #pausedMs = 0;
  #isAnswered = false;
  /** Of a tunnel: our half is over. */
  #isFinished = false;

  constructor({ arrived, spec, scheme, host }: ClientConnectionOptions) {
    this.arrived = arrived;
    this.#conn = arrived.conn;
    this.#spec = spec;
    this.#scheme = scheme;
    this.#host = host;
    this.#reader = createBodyReader(spec.limits);
    this.#writer = new ClientWriter(arrived.conn);
    this.#sinceMs = this.#activeMs = host.deadlines.nowMs();
    this.#conn.stream(this);
    this.#limit(this.#sinceMs + this.#idleMs());
  }

  // ── as its listener sees it ────────────────────────────────────────────────────────────────────────────────────

  get isIdle(): boolean {
    return this.#phase !== PHASE.head && this.#phase !== PHASE.exchange && this.#phase !== PHASE.tunnel;
  }
  get idleSinceMs(): number {
    return this.#sinceMs;
  }
  drain(): void {
    this.#isDraining = true;
    if (this.#phase === PHASE.idle) this.#finish();
  }
  stop(): void {
    this.#break();
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  onOctets(octets: Buffer): void {
    this.#activeMs = this.#host.deadlines.nowMs();
    if (this.#held === undefined) this.#read(octets);
    else {
      const all = Buffer.concat([this.#held, octets]);
      this.#held = undefined;
      this.#read(all);
    }
  }

  /** Reads as far as it can; keeps a copy of the rest. */
  #read(octets: Buffer): void {
    let rest = octets;
    this.#isReading = true;
    while (rest.length > 0) {
      const length = this.#consume(rest);
      if (length === 0) break;
      rest = length === rest.length ? EMPTY : rest.subarray(length);
    }
    this.#isReading = false;
    if (rest.length > 0) this.#hold(rest);
    else if (this.#hasEnded && this.#phase === PHASE.idle) this.#finish();
  }
  /** @returns how many octets were consumed; 0: none for now */
  #consume(octets: Buffer): number {
    switch (this.#phase) {
      case PHASE.idle:
      case PHASE.head:
        return this.#readHead(octets);
      case PHASE.exchange:
        return this.#wantsBody && !this.#isBodyOver ? this.#readBody(octets) : 0;
      case PHASE.tunnel:
        this.#events?.onBody(octets);
        return octets.length;
      default:
        return octets.length;
    }
  }

  #hold(rest: Buffer): void {
    this.#held = Buffer.from(rest);
    if (this.#phase !== PHASE.exchange) {
      // A head that cannot be completed.
      if (this.#hasEnded) this.#close();
      return;
    }
    const { headOctets, pipelined } = this.#spec.limits;
    if (!this.#isBodyOver || rest.length >= headOctets || countHeads(rest) >= pipelined) this.#pause();
  }

  #readHead(octets: Buffer): number {
    const parse = parseRequestHead(octets, this.#spec.limits, this.#scheme, this.#memo);
    if (parse.kind === "request") {
      this.#begin(parse);
      return parse.length;
    }
    if (parse.kind === "bad") {
      this.#refuse(parse.status, parse.rule);
      return octets.length;
    }
    if (this.#phase === PHASE.idle) {
      this.#phase = PHASE.head;
      this.#sinceMs = this.#activeMs;
      this.#limit(this.#sinceMs + this.#spec.timeouts.headMs);
    }
    return 0;
  }

  #begin({ head, framing, persists }: Extract<RequestParse, { kind: "request" }>): void {
    const { requestsPerConnection } = this.#spec.limits;
    this.#requests++;
    this.#head = head;
    this.#persists = persists && (requestsPerConnection === 0 || this.#requests < requestsPerConnection);
    this.#isBodyOver = head.bodyOctets === 0;
    if (!this.#isBodyOver) this.#reader.begin(framing, Number.POSITIVE_INFINITY);
    this.#wantsBody = false;
    this.#bodyOctets = 0;
    this.#isAnswered = false;
    this.#phase = PHASE.exchange;
    const events = this.#host.onRequest(this, head);
    // Unless it was answered already.
    if (this.#phase === PHASE.exchange || this.#phase === PHASE.tunnel) this.#events = events;
  }

  #readBody(octets: Buffer): number {
    const consumed = this.#reader.feed(octets, this);
    if (typeof consumed === "number") return consumed;
    this.#failBody(consumed.status);
    return octets.length;
  }
  /** Of the body reader. */
  onBody(octets: Buffer): void {
    this.#bodyOctets += octets.length;
    this.#events?.onBody(octets);
  }
  /** Of the body reader. */
  onBodyEnd(trailers: Fields | undefined): void {
    this.#isBodyOver = true;
    this.#resume();
    this.#events?.onBodyEnd(trailers);
  }

  onEnd(): void {
    this.#hasEnded = true;
    switch (this.#phase) {
      case PHASE.exchange:
        // Who has sent its request whole may still read the answer (RFC 9112 §9.6).
        if (!this.#isBodyOver) this.#failBody(400);
        break;
      case PHASE.tunnel:
        this.#events?.onBodyEnd(undefined);
        if (this.#isFinished) {
          this.#events = undefined;
          this.#close();
        }
        break;
      case PHASE.over:
        break;
      default:
        this.#close();
    }
  }
  onRoom(): void {
    this.#writer.isFull = false;
    this.#events?.onClientRoom();
  }
  onGone(): void {
    this.#end();
  }

  // ── what the exchange says ─────────────────────────────────────────────────────────────────────────────────────

  wantBody(): void {
    if (this.#phase !== PHASE.exchange || this.#wantsBody || this.#isBodyOver) return;
    const { expectsContinue } = this.#head!;
    this.#wantsBody = true;
    this.#bodySinceMs = this.#activeMs = this.#host.deadlines.nowMs();
    if (expectsContinue && this.#held === undefined && !this.#isAnswered) this.#writer.text(CONTINUE);
    this.#limitBody();
    this.#resume();
    this.#readHeld();
  }
  pauseBody(): void {
    if (this.#isBodyOver && this.#phase !== PHASE.tunnel) return;
    this.#pausedMs = this.#host.deadlines.nowMs();
    this.#pause();
  }
  resumeBody(): void {
    if (!this.#isPaused || (this.#phase !== PHASE.tunnel && !this.#wantsBody)) return;
    const nowMs = this.#host.deadlines.nowMs();
    this.#bodySinceMs += nowMs - this.#pausedMs;
    this.#activeMs = nowMs;
    if (this.#phase === PHASE.exchange) this.#limitBody();
    this.#resume();
  }

  sendInformational(status: number, fields: Fields): void {
    if (this.#phase !== PHASE.exchange || this.#isAnswered || this.#head!.version === "1.0") return;
    this.#writer.text(writeInformational(status, fields));
  }
  sendHead(head: ResponseHead, isLast: boolean): void {
    if (this.#phase !== PHASE.exchange || this.#isAnswered) return;
    const request = this.#head!;
    this.#isAnswered = true;
    // A body that nobody reads ends the connection (RFC 9112 §9.3); the client is told while it can be.
    const persists = this.#persists && !isLast && !this.#isDraining && this.#isBodyOver;
    this.#persists = this.#writer.head(request, head, persists);
    if (head.status !== 101) return;
    this.#phase = PHASE.tunnel;
    this.#limit(this.#activeMs + this.#spec.timeouts.tunnelMs);
    this.#readHeld();
  }
  sendBody(octets: Uint8Array): boolean {
    if (this.#phase === PHASE.exchange) return this.#writer.body(octets) || this.#limitSending();
    if (this.#phase !== PHASE.tunnel) return true;
    this.#activeMs = this.#host.deadlines.nowMs();
    return this.#writer.raw(octets);
  }
  sendEnd(trailers: Fields | undefined): void {
    if (this.#phase === PHASE.tunnel) {
      this.#isFinished = true;
      if (!this.#hasEnded) return void this.#conn.finish();
      this.#events = undefined;
      this.#close();
      return;
    }
    if (this.#phase !== PHASE.exchange) return;
    if (!this.#writer.end(this.#head!.takesTrailers ? trailers : undefined)) return void this.abort();
    this.#events = undefined;
    this.#head = undefined;
    // Told of a drain too late for this response: the client may have sent its next request already, and is told with that.
    if (!this.#persists) return void this.#finish();
    this.#phase = PHASE.idle;
    this.#sinceMs = this.#host.deadlines.nowMs();
    this.#limit(this.#sinceMs + this.#spec.timeouts.keepAliveMs);
    this.#resume();
    this.#readHeld();
    if (this.#hasEnded && this.#phase === PHASE.idle && !this.#isReading) this.#finish();
  }
  abort(): void {
    if (this.#phase !== PHASE.exchange && this.#phase !== PHASE.tunnel) return;
    this.#events = undefined;
    this.#break();
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What came is no request, or did not come in time. */
  #refuse(status: number, rule: string): void {
    this.#writer.refusal(status);
    this.#finish();
    this.#host.onBadRequest(this.arrived, status, rule);
  }
  /** The body breaks a rule, or does not come. */
  #failBody(status: number): void {
    const events = this.#events;
    this.#events = undefined;
    this.#phase = PHASE.lingering;
    events?.onClientGone(status);
    if (this.#isAnswered) return void this.#break();
    this.#writer.refusal(status);
    this.#finish();
  }
  #break(): void {
    if (this.#phase === PHASE.over) return;
    this.#conn.reset();
    this.#end();
  }

  /**
   * Our last word was said. A conn that is closed while octets are on their way to it is reset, and the client might lose
   * what we said: so only our half ends, and the rest is dropped for a while (RFC 9112 §9.6).
   */
  #finish(): void {
    const { lingerMs } = this.#spec.timeouts;
    if (this.#hasEnded || lingerMs === 0) return void this.#close();
    this.#phase = PHASE.lingering;
    this.#held = undefined;
    this.#conn.finish();
    this.#sinceMs = this.#host.deadlines.nowMs();
    this.#limit(this.#sinceMs + lingerMs);
    this.#resume();
  }
  #close(): void {
    if (this.#phase === PHASE.over) return;
    this.#conn.close();
    this.#end();
  }
  /** The conn is gone; an exchange that is under way hears of it. */
  #end(): void {
    if (this.#phase === PHASE.over) return;
    const events = this.#events;
    this.#phase = PHASE.over;
    this.#held = undefined;
    this.#events = undefined;
    this.#head = undefined;
    this.#host.deadlines.cancel(this.#deadline);
    events?.onClientGone(undefined);
    this.#host.onConnectionEnd(this);
  }

  // ── reading and writing ────────────────────────────────────────────────────────────────────────────────────────

  #readHeld(): void {
    if (this.#held === undefined || this.#isReading) return;
    const held = this.#held;
    this.#held = undefined;
    this.#read(held);
  }
  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#conn.pause();
  }
  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#conn.resume();
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Before its first request a client has no longer than for a head. */
  #idleMs(): number {
    const { headMs, keepAliveMs } = this.#spec.timeouts;
    return this.#requests === 0 ? Math.min(headMs, keepAliveMs) : keepAliveMs;
  }
  /** A limit that octets or the next phase postpone stays where it is: what is due is worked out when it comes. */
  #limit(dueMs: number): void {
    if (this.#deadline.bucket < 0 || this.#deadline.dueMs > dueMs) this.#host.deadlines.arm(this.#deadline, dueMs);
  }
  #limitBody(): void {
    const { bodyMs, minBodyRate } = this.#spec.timeouts;
    this.#limit(this.#activeMs + bodyMs);
    if (minBodyRate > 0) this.#limit(Math.max(this.#bodySinceMs + RATE_GRACE_MS, this.#activeMs + 1_000));
  }
  /** @returns false: the client has enough for now */
  #limitSending(): false {
    if (this.#writer.isFull) return false;
    const nowMs = this.#host.deadlines.nowMs();
    this.#writer.fill(nowMs);
    this.#limit(nowMs + this.#spec.timeouts.sendMs);
    return false;
  }

  onDeadline(_deadline: Deadline, nowMs: number): void {
    const { headMs, tunnelMs } = this.#spec.timeouts;
    switch (this.#phase) {
      case PHASE.idle: {
        const dueMs = this.#sinceMs + this.#idleMs();
        if (dueMs > nowMs) this.#limit(dueMs);
        else if (this.#conn.unsent() > 0) this.#break();
        else this.#finish();
        break;
      }
      case PHASE.head:
        if (this.#sinceMs + headMs > nowMs) this.#limit(this.#sinceMs + headMs);
        else this.#refuse(408, "R42");
        break;
      case PHASE.exchange:
        this.#checkExchange(nowMs);
        break;
      case PHASE.tunnel:
        if (this.#activeMs + tunnelMs > nowMs) this.#limit(this.#activeMs + tunnelMs);
        else this.#break();
        break;
      case PHASE.lingering: {
        const dueMs = this.#sinceMs + this.#spec.timeouts.lingerMs;
        if (dueMs > nowMs) this.#limit(dueMs);
        // A client that takes nothing must not hold the conn by what it was sent.
        else if (this.#conn.unsent() > 0) this.#break();
        else this.#close();
        break;
      }
    }
  }
  #checkExchange(nowMs: number): void {
    const { bodyMs, minBodyRate, sendMs } = this.#spec.timeouts;
    if (this.#wantsBody && !this.#isBodyOver && !this.#isPaused) {
      const readMs = nowMs - this.#bodySinceMs;
      const isTooSlow = minBodyRate > 0 && readMs > RATE_GRACE_MS && this.#bodyOctets < (minBodyRate * readMs) / 1_000;
      if (this.#activeMs + bodyMs <= nowMs || isTooSlow) return void this.#failBody(408);
      this.#limitBody();
    }
    if (!this.#writer.isFull) return;
    const dueMs = this.#writer.stalledSinceMs(nowMs) + sendMs;
    if (dueMs <= nowMs) this.#break();
    else this.#limit(dueMs);
  }
}

/** How many requests seem to wait in this: one that has a body may count more than once. */
function countHeads(octets: Buffer): number {
  let count = 0;
  for (let at = octets.indexOf("\r\n\r\n"); at >= 0; at = octets.indexOf("\r\n\r\n", at + 4)) count++;
  return count;
}
