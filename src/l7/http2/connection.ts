/**
 * A client's HTTP/2 connection: many requests at a time, each with its exchange (RFC 9113, by `node:http2`).
 *
 * Owns:    the session and its limits: floods end it with GOAWAY ENHANCE_YOUR_CALM, idleness with GOAWAY NO_ERROR.
 * Never:   lets an `error` go unheard: one ends the process (CVE-2025-59465). It touches no stream after its session has gone
 *          (CVE-2024-27983).
 * Units:   steady ms, as `ConnectionHost.deadlines` has it; limits come up to `CHECK_MS` late.
 * @module
 */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Deadline, type DeadlineOwner } from "#l7/exchange/deadlines.ts";
import { Http2ClientStream, type StreamHost } from "#l7/http2/client-stream.ts";
import { FloodGuard } from "#l7/http2/floods.ts";
import {
  CONNECTION_WINDOW_STREAMS,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_PROTOCOL_ERROR,
  serverOptions,
} from "#l7/http2/options.ts";
import { Refusal, readRequestHead } from "#l7/http2/request-head.ts";
import type { ClientConnection, ConnectionHost } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { HttpSpec, HttpTimeouts } from "#state/http.ts";

/** How often limits are looked at. */
const CHECK_MS = 500;

export type Http2ConnectionOptions = {
  /** Of `takeSocket`; the conn of `arrived` stands on it. */
  readonly socket: Duplex;
  readonly arrived: Arrived;
  readonly spec: HttpSpec;
  readonly scheme: "http" | "https";
  readonly host: ConnectionHost;
};

/** Speaks HTTP/2 with a client, by prior knowledge or after ALPN. */
export const createHttp2Connection = (options: Http2ConnectionOptions): ClientConnection =>
  new Http2ClientConnection(options);

class Http2ClientConnection implements ClientConnection, StreamHost, DeadlineOwner {
  readonly arrived: Arrived;
  readonly timeouts: HttpTimeouts;
  readonly #spec: HttpSpec;
  readonly #scheme: "http" | "https";
  readonly #host: ConnectionHost;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session | undefined;
  readonly #floods: FloodGuard;
  readonly #deadline: Deadline = new Deadline(this);
  readonly #streams = new Set<Http2ClientStream>();
  #requests = 0;
  /** Our GOAWAY was sent, or is about to be. */
  #isClosing = false;
  #isOver = false;
  /** Since when there is no request. */
  #idleMs: number;
  /** Octets that had come when something whole had come last. */
  #octets = 0;
  /** Since when octets come that make nothing whole; 0: they do not. */
  #partialMs = 0;

  constructor({ socket, arrived, spec, scheme, host }: Http2ConnectionOptions) {
    this.arrived = arrived;
    this.timeouts = spec.timeouts;
    this.#spec = spec;
    this.#scheme = scheme;
    this.#host = host;
    this.#socket = socket as Socket;
    this.#floods = new FloodGuard(spec.http2);
    this.#idleMs = host.deadlines.nowMs();
    this.#session = this.#open(this.#socket);
    host.deadlines.arm(this.#deadline, this.#idleMs + (this.#session === undefined ? 0 : CHECK_MS));
  }

  #open(socket: Socket): ServerHttp2Session | undefined {
    socket.on("error", () => {}); // the session hears of it
    if (socket.destroyed) return undefined;
    const session = performServerHandshake(socket, serverOptions(this.#spec.http2, this.#spec.limits));
    // Who has ended cannot open windows any more: nothing that is long would reach it.
    socket.on("end", () => socket.destroySoon());
    socket.read(0); // it was paused; from now on what comes goes past it, to the session
    session.on("error", () => {}); // `close` comes after it
    session.on("close", () => this.#end());
    session.on("stream", (stream, _fields, flags, raw) => this.#onStream(stream, flags, raw));
    session.on("remoteSettings", () => this.#count(this.#floods.settings()));
    session.on("ping", () => this.#count(this.#floods.control(this.nowMs())));
    session.on("priority" as "ping", () => this.#count(this.#floods.control(this.nowMs())));
    session.once("connect", () => {
      if (!session.destroyed) session.setLocalWindowSize(this.#spec.http2.windowOctets * CONNECTION_WINDOW_STREAMS);
    });
    return session;
  }

  // ── as its listener sees it ────────────────────────────────────────────────────────────────────────────────────

  get isIdle(): boolean {
    return this.#streams.size === 0;
  }
  get idleSinceMs(): number {
    return this.#idleMs;
  }
  /** GOAWAY names the last stream that is served; what the client sent after that, it may send again elsewhere. */
  drain(): void {
    if (this.#isClosing || this.#isOver) return;
    this.#isClosing = true;
    if (this.#streams.size === 0) this.#idleMs = this.nowMs();
    this.#session?.close();
  }
  stop(): void {
    if (this.#isOver) return;
    this.arrived.conn.reset();
    this.#end();
  }

  // ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────────

  #onStream(stream: ServerHttp2Stream, flags: number, raw: string[]): void {
    stream.on("error", ignore);
    if (this.#isOver || stream.destroyed) return;
    this.#whole();
    const isEnded = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = readRequestHead(raw, isEnded, this.#scheme, this.#spec.http2.headerListOctets);
    if (head instanceof Refusal) return void this.#refuse(stream, head);
    this.#requests++;
    const { requestsPerConnection } = this.#spec.limits;
    const ours = new Http2ClientStream(stream, this, head);
    this.#streams.add(ours);
    ours.begin(this.#host.onRequest(ours, head));
    if (requestsPerConnection > 0 && this.#requests >= requestsPerConnection) this.drain();
  }
  #refuse(stream: ServerHttp2Stream, { status, rule }: Refusal): void {
    if (status === 400) stream.close(NGHTTP2_PROTOCOL_ERROR);
    else stream.respond({ ":status": status }, { endStream: true });
    this.#host.onBadRequest(this.arrived, status, rule);
    this.#count(this.#floods.reset(this.nowMs()));
  }

  /** @param isFew false: the client sends what costs it nothing and us something, again and again */
  #count(isFew: boolean): void {
    this.#whole();
    if (!isFew) this.#calm();
  }
  #calm(): void {
    const session = this.#session;
    if (session === undefined || session.destroyed) return;
    this.#isClosing = true;
    this.#leaveStreams();
    this.#idleMs = this.nowMs();
    session.destroy(new Error("The client floods"), NGHTTP2_ENHANCE_YOUR_CALM);
  }
  #whole(): void {
    this.#octets = this.#socket.bytesRead;
    this.#partialMs = 0;
  }

  // ── as its streams see it ──────────────────────────────────────────────────────────────────────────────────────

  nowMs(): number {
    return this.#host.deadlines.nowMs();
  }
  onStreamClose(stream: Http2ClientStream, isClients: boolean): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) {
      this.#idleMs = this.nowMs();
      this.#whole();
    }
    if (isClients && !this.#isOver) this.#count(this.#floods.reset(this.nowMs()));
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  onDeadline(_deadline: Deadline, nowMs: number): void {
    if (this.#isOver) return;
    if (this.#session === undefined) return void this.#end();
    const { headMs, keepAliveMs, lingerMs } = this.#spec.timeouts;
    for (const stream of this.#streams) stream.check(nowMs);
    if (this.#streams.size === 0) {
      const idleMs = nowMs - this.#idleMs;
      if (this.#isClosing) {
        if (idleMs >= lingerMs) return void this.stop(); // it does not take our last word, or does not end
      } else if (idleMs >= keepAliveMs) this.drain();
      else if (this.#dribbles(nowMs, headMs)) return void this.stop();
    }
    this.#host.deadlines.arm(this.#deadline, nowMs + CHECK_MS);
  }
  /** Octets come now and then, and make no request and nothing else: a head that is never complete (slowloris). */
  #dribbles(nowMs: number, headMs: number): boolean {
    const octets = this.#socket.bytesRead;
    if (octets === this.#octets) return false;
    this.#octets = octets;
    if (this.#partialMs === 0) this.#partialMs = nowMs;
    return nowMs - this.#partialMs >= headMs;
  }

  #leaveStreams(): void {
    for (const stream of this.#streams) stream.leave();
  }
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.deadlines.cancel(this.#deadline);
    this.#leaveStreams();
    this.#streams.clear();
    this.#host.onConnectionEnd(this);
  }
}

function ignore(): void {}
