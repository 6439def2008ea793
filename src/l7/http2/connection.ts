/**
 * A client's HTTP/2 connection: many requests at a time, each with its exchange (RFC 9113).
 *
 * Owns:    its streams, our window for all of them, and its limits: floods and faults end it with GOAWAY, idleness with GOAWAY
 *          NO_ERROR, said twice: what was on its way when it was said first is still served (RFC 9113 §6.8).
 * Never:   answers a request by itself, but for one that is none.
 * Units:   octets, steady ms, as `ConnectionHost.deadlines` has it; limits come up to `CHECK_MS` late.
 * @module
 */
import { Deadline, type DeadlineOwner } from "#l7/exchange/deadlines.ts";
import { Http2ClientStream, type StreamHost, WINDOW_SHARE } from "#l7/http2/client-stream.ts";
import { FloodGuard } from "#l7/http2/floods.ts";
import { FrameReader, type FrameSink } from "#l7/http2/frame-reader.ts";
import { FrameWriter } from "#l7/http2/frame-writer.ts";
import { CODE, type Code, MAX_STREAM } from "#l7/http2/frames.ts";
import { HeadMemo } from "#l7/http2/head-memo.ts";
import { HpackDecoder } from "#l7/http2/hpack/decoder.ts";
import { HeaderList } from "#l7/http2/hpack/header-list.ts";
import { Outflow } from "#l7/http2/outflow.ts";
import { takeSettings } from "#l7/http2/peer-settings.ts";
import { Refusal, readRequestHead } from "#l7/http2/request-head.ts";
import type { ClientConnection, ConnectionHost } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { StreamOwner, TcpConn } from "#net/driver.ts";
import type { HttpSpec, HttpTimeouts } from "#state/http.ts";

/** How often limits are looked at, while there is something to look at. */
const CHECK_MS = 500;
/** How long a client may take to say that it has heard our first GOAWAY. */
const WARNED_MS = 1_000;
/** Octets of all streams of a connection on their way to us, in windows of a stream: one stream alone must not fill it. */
const WINDOW_STREAMS = 4;
/** What may wait for a client that does not read, beside bodies, before we do not read from it either. */
const MAX_UNSENT_OCTETS = 262_144;
/** Pseudo-headers, beside the fields that are allowed. */
const PSEUDO_FIELDS = 5;

const PHASE = {
  open: 0,
  /** It was told that it should open no more streams. */
  warned: 1,
  /** It was told which stream is the last. */
  closing: 2,
  /** Our last word was sent: what comes is dropped, until the client ends. */
  lingering: 3,
  over: 4,
} as const;
type Phase = (typeof PHASE)[keyof typeof PHASE];

export type Http2ConnectionOptions = {
  readonly arrived: Arrived;
  readonly spec: HttpSpec;
  readonly scheme: "http" | "https";
  readonly host: ConnectionHost;
};

/** Speaks HTTP/2 with a client, by prior knowledge or after ALPN: takes its conn over. */
export const serveHttp2 = (options: Http2ConnectionOptions): ClientConnection => new Http2ClientConnection(options);

/** Of the block that is decoded. */
const list = new HeaderList();

class Http2ClientConnection implements ClientConnection, StreamOwner, StreamHost, FrameSink, DeadlineOwner {
  readonly arrived: Arrived;
  readonly timeouts: HttpTimeouts;
  readonly writer: FrameWriter;
  readonly outflow: Outflow;
  readonly windowOctets: number;
  readonly #conn: TcpConn;
  readonly #spec: HttpSpec;
  readonly #scheme: "http" | "https";
  readonly #host: ConnectionHost;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder = new HpackDecoder();
  readonly #memo: HeadMemo = new HeadMemo();
  readonly #floods: FloodGuard;
  readonly #deadline: Deadline = new Deadline(this);
  readonly #streams = new Map<number, Http2ClientStream>();
  /** Streams that were over for us before the client had ended them: what comes of them was on its way. */
  readonly #lateStreams = new Set<number>();
  /** That of the DATA frame under way; undefined: nobody wants it. */
  #current: Http2ClientStream | undefined;
  #phase: Phase = PHASE.open;
  #requests = 0;
  /** The highest that the client has opened, and the highest that is served. */
  #lastSeen = 0;
  #lastServed = 0;
  /** Octets of bodies that were not given back to our window. */
  #taken = 0;
  /** The client knows our settings. */
  #isSettled = false;
  #isPaused = false;
  /** Answers to pings that the client does not take. */
  #pongs = 0;
  /** Since when there is no request. */
  #idleMs: number;
  /** Since when it is in its phase, but for `open`. */
  #phaseMs = 0;
  /** Since when something has begun to come that is not complete; 0: nothing has. */
  #partialMs = 0;
  /** What the client had taken when that was looked at last, and since when it has taken nothing. */
  #takenByClient = 0;
  #stalledMs = 0;

  constructor({ arrived, spec, scheme, host }: Http2ConnectionOptions) {
    const { http2, timeouts } = spec;
    this.arrived = arrived;
    this.timeouts = timeouts;
    this.#conn = arrived.conn;
    this.#spec = spec;
    this.#scheme = scheme;
    this.#host = host;
    this.windowOctets = http2.windowOctets;
    this.writer = new FrameWriter(arrived.conn);
    this.outflow = new Outflow(this.writer, host.deadlines.nowMs);
    this.#reader = new FrameReader(this, http2.headerListOctets);
    this.#floods = new FloodGuard(http2);
    this.#idleMs = host.deadlines.nowMs();
    arrived.conn.stream(this);
    this.writer.open(http2, http2.windowOctets * WINDOW_STREAMS);
    this.#limit(this.#idleMs + timeouts.keepAliveMs);
  }

  // ── as its listener sees it ────────────────────────────────────────────────────────────────────────────────────

  get isIdle(): boolean {
    return this.#streams.size === 0;
  }
  get idleSinceMs(): number {
    return this.#idleMs;
  }
  drain(): void {
    if (this.#phase !== PHASE.open) return;
    this.#phase = PHASE.warned;
    this.#phaseMs = this.nowMs();
    this.writer.goaway(MAX_STREAM);
    this.writer.ping();
    this.#limit(this.#phaseMs + CHECK_MS);
  }
  stop(): void {
    if (this.#phase === PHASE.over) return;
    this.#conn.reset();
    this.#end();
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  onOctets(octets: Buffer): void {
    if (this.#phase >= PHASE.lingering) return;
    const { whole } = this.#reader;
    this.#reader.feed(octets);
    if (!this.#reader.isMidway) this.#partialMs = 0;
    else if (this.#partialMs === 0 || this.#reader.whole !== whole) {
      this.#partialMs = this.nowMs();
      this.#limit(this.#partialMs + CHECK_MS);
    }
    if (!this.writer.isFull || this.#phase === PHASE.over || this.#conn.unsent() <= MAX_UNSENT_OCTETS) return;
    this.#isPaused = true;
    this.#conn.pause();
  }
  /** Who has ended cannot open windows any more: nothing that is long would reach it. */
  onEnd(): void {
    if (this.#phase === PHASE.over) return;
    this.#leaveStreams();
    this.#conn.close();
    this.#end();
  }
  onRoom(): void {
    this.writer.isFull = false;
    this.#pongs = 0;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#conn.resume();
    }
    if (this.#phase < PHASE.lingering) this.outflow.flush();
  }
  onGone(): void {
    this.#end();
  }

  onBlock(id: number, octets: Buffer, from: number, to: number, isEnd: boolean): void {
    const { http2, limits } = this.#spec;
    list.begin(http2.headerListOctets, limits.fields + PSEUDO_FIELDS);
    if (!this.#decoder.decode(octets, from, to, list)) return void this.onFault(CODE.compression);
    if (id > this.#lastSeen) this.#open(id, isEnd);
    else {
      const stream = this.#streams.get(id);
      if (stream === undefined) this.#hearLate(id, isEnd);
      else if (stream.hasEnded) stream.breakOff(CODE.streamClosed);
      else if (!isEnd || list.isTooLong || list.isTooMany) stream.breakOff(CODE.protocol);
      else stream.hearTrailers(list.raw);
    }
  }
  /** The beginning of a request. */
  #open(id: number, isEnd: boolean): void {
    if ((id & 1) === 0) return void this.onFault(CODE.protocol);
    this.#lastSeen = id;
    if (this.#phase === PHASE.closing) return void this.#late(id, isEnd);
    this.#lastServed = id;
    if (this.#streams.size >= this.#spec.http2.maxStreams) return void this.#refuseStream(id, isEnd);
    const head = readRequestHead(list, isEnd, this.#scheme, this.#memo);
    if (head instanceof Refusal) return void this.#refuse(id, head, isEnd);
    this.#requests++;
    const stream = new Http2ClientStream(id, this, head, isEnd);
    if (this.#streams.size === 0) this.#limit(this.nowMs() + CHECK_MS);
    this.#streams.set(id, stream);
    stream.begin(this.#host.onRequest(stream, head));
    const { requestsPerConnection } = this.#spec.limits;
    if (requestsPerConnection > 0 && this.#requests >= requestsPerConnection) this.drain();
  }
  /** One more than we take. Who knows our settings must not do that; who does not may have it refused. */
  #refuseStream(id: number, isEnd: boolean): void {
    if (this.#isSettled) return void this.onFault(CODE.protocol);
    this.writer.reset(id, CODE.refused);
    this.#late(id, isEnd);
    this.#countReset();
  }
  #refuse(id: number, { status, rule }: Refusal, isEnd: boolean): void {
    if (status === 400) this.writer.reset(id, CODE.protocol);
    else {
      this.writer.head(id, { status, fields: [], bodyOctets: 0, declaredOctets: undefined }, true);
      if (!isEnd) this.writer.reset(id, CODE.none);
    }
    this.#late(id, isEnd);
    this.#host.onBadRequest(this.arrived, status, rule);
    this.#countReset();
  }

  onDataFrame(id: number, octets: number, bodyOctets: number, isEnd: boolean): void {
    this.#take(octets);
    if (bodyOctets === 0 && !isEnd && !this.#floods.empty()) return void this.onFault(CODE.calm);
    const stream = this.#streams.get(id);
    this.#current = stream?.hearFrame(octets, bodyOctets) ? stream : undefined;
    if (stream === undefined) this.#hearLate(id, isEnd);
  }
  onData(octets: Buffer): void {
    this.#current?.hear(octets);
  }
  onDataEnd(isEnd: boolean): void {
    const stream = this.#current;
    this.#current = undefined;
    if (isEnd) stream?.hearEnd();
  }
  onReset(id: number, code: number): void {
    if (id > this.#lastSeen) return void this.onFault(CODE.protocol);
    this.#lateStreams.delete(id);
    this.#streams.get(id)?.hearReset(code);
  }
  onWindow(id: number, octets: number): void {
    if (id === 0) {
      if (!this.outflow.open(octets)) this.onFault(CODE.flowControl);
      return;
    }
    if (id > this.#lastSeen) return void this.onFault(CODE.protocol);
    const stream = this.#streams.get(id);
    if (stream !== undefined && !this.outflow.openStream(stream.out, octets)) stream.breakOff(CODE.flowControl);
  }
  onSettings(octets: Buffer, from: number, to: number): void {
    if (!this.#floods.settings()) return void this.onFault(CODE.calm);
    const code = takeSettings(octets, from, to, this.writer.encoder, this.outflow, this.#streams.values());
    if (code === CODE.none) this.writer.settingsTaken();
    else this.onFault(code);
  }
  onSettingsTaken(): void {
    if (this.#isSettled) return void this.onIdleFrame();
    this.#isSettled = true;
  }
  onPing(octets: Buffer, at: number): void {
    if (!this.#floods.control(this.nowMs())) return void this.onFault(CODE.calm);
    this.writer.pong(octets, at);
    if (this.writer.isFull && ++this.#pongs > this.#spec.http2.outstandingPings) this.onFault(CODE.calm);
  }
  onPong(): void {
    if (this.#phase === PHASE.warned) this.#sayLast();
    else this.onIdleFrame();
  }
  /** The client opens no more streams. */
  onGoaway(): void {
    if (this.#phase < PHASE.closing) this.#sayLast();
  }
  onIdleFrame(): void {
    if (!this.#floods.control(this.nowMs())) this.onFault(CODE.calm);
  }
  onStreamFault(id: number, code: Code): void {
    if (id > this.#lastSeen) return void this.onFault(code);
    this.#streams.get(id)?.breakOff(code);
  }

  /** A frame of a stream that is none any more (RFC 9113 §5.1). */
  #hearLate(id: number, isEnd: boolean): void {
    if (!this.#lateStreams.has(id)) this.onFault(id > this.#lastSeen ? CODE.protocol : CODE.streamClosed);
    else if (isEnd) this.#lateStreams.delete(id);
  }
  /** As many as may be on their way: a client opens no other stream before it knows that one is over. */
  #late(id: number, isEnd: boolean): void {
    if (isEnd) return;
    this.#lateStreams.add(id);
    const [oldest] = this.#lateStreams;
    if (this.#lateStreams.size > this.#spec.http2.maxStreams) this.#lateStreams.delete(oldest!);
  }
  /** Bodies are held by their streams' windows: that of the connection opens again at once, so that none waits for another. */
  #take(octets: number): void {
    this.#taken += octets;
    if (this.#taken < this.windowOctets * WINDOW_STREAMS * WINDOW_SHARE) return;
    this.writer.window(0, this.#taken);
    this.#taken = 0;
  }
  #countReset(): void {
    if (!this.#floods.reset(this.nowMs())) this.onFault(CODE.calm);
  }

  // ── as its streams see it ──────────────────────────────────────────────────────────────────────────────────────

  nowMs(): number {
    return this.#host.deadlines.nowMs();
  }
  onStreamClose(stream: Http2ClientStream, isClients: boolean): void {
    const { id } = stream.out;
    this.#streams.delete(id);
    if (!stream.hasEnded) this.#late(id, false);
    if (this.#streams.size === 0) {
      this.#idleMs = this.nowMs();
      if (this.#phase === PHASE.closing) this.#finish();
    }
    if (isClients) this.#countReset();
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** GOAWAY names the last stream that is served; what the client sends after that, it may send again elsewhere. */
  #sayLast(): void {
    this.#phase = PHASE.closing;
    this.writer.goaway(this.#lastServed);
    if (this.#streams.size === 0) this.#finish();
  }
  /** The client breaks a rule, or does what costs it nothing and us something, again and again. */
  onFault(code: Code): void {
    if (this.#phase >= PHASE.lingering) return;
    this.#reader.stop();
    this.writer.goaway(this.#lastServed, code);
    this.#leaveStreams();
    this.#finish();
  }
  #finish(): void {
    const { lingerMs } = this.timeouts;
    this.#phase = PHASE.lingering;
    this.#reader.stop();
    this.#phaseMs = this.nowMs();
    this.#conn.finish();
    if (this.#isPaused) this.#conn.resume();
    this.#isPaused = false;
    this.#limit(this.#phaseMs + lingerMs);
  }

  onDeadline(_deadline: Deadline, nowMs: number): void {
    if (this.#phase === PHASE.over) return;
    const { headMs, keepAliveMs, lingerMs } = this.timeouts;
    const sinceMs = nowMs - this.#phaseMs;
    if (this.#phase === PHASE.lingering) {
      if (sinceMs < lingerMs) this.#limit(this.#phaseMs + lingerMs);
      // A client that takes nothing must not hold the conn by what it was sent.
      else if (this.#conn.unsent() > 0) this.stop();
      else this.onEnd();
      return;
    }
    for (const stream of this.#streams.values()) stream.check(nowMs);
    if (this.#phase === PHASE.warned && sinceMs >= WARNED_MS) this.#sayLast();
    if (this.#phase >= PHASE.lingering) return;
    const isIdle = this.#streams.size === 0;
    if (this.#isStalled(nowMs)) return void this.stop();
    if (isIdle && this.#partialMs > 0 && nowMs - this.#partialMs >= headMs) return void this.stop(); // slowloris
    if (isIdle && this.#phase === PHASE.open && nowMs - this.#idleMs >= keepAliveMs) return void this.drain();
    const isQuiet = isIdle && this.#phase === PHASE.open && this.#partialMs === 0 && this.#stalledMs === 0;
    this.#limit(isQuiet ? this.#idleMs + keepAliveMs : nowMs + CHECK_MS);
  }
  /** It takes nothing of what it was sent. */
  #isStalled(nowMs: number): boolean {
    const unsent = this.#conn.unsent();
    const taken = this.writer.written - unsent;
    if (unsent === 0) this.#stalledMs = 0;
    else if (this.#stalledMs === 0 || taken > this.#takenByClient) this.#stalledMs = nowMs;
    this.#takenByClient = taken;
    return this.#stalledMs > 0 && nowMs - this.#stalledMs >= this.timeouts.sendMs;
  }
  /** A limit that is nearer moves the one that is armed; one that is further does not: what is due is worked out when it comes. */
  #limit(dueMs: number): void {
    if (this.#deadline.bucket < 0 || this.#deadline.dueMs > dueMs) this.#host.deadlines.arm(this.#deadline, dueMs);
  }

  #leaveStreams(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.leave();
  }
  #end(): void {
    if (this.#phase === PHASE.over) return;
    this.#phase = PHASE.over;
    this.#reader.stop();
    this.#host.deadlines.cancel(this.#deadline);
    this.#leaveStreams();
    this.#host.onConnectionEnd(this);
  }
}
