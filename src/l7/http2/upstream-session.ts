/**
 * One HTTP/2 connection to a backend: many requests at a time.
 *
 * Owns:    the conn from the connect on, the session of `node:http2`, requests that wait for it to stand.
 * Rule:    it stands when the backend's SETTINGS have come: then it is known how much the backend takes at a time, and that
 *          it speaks HTTP/2 at all; what failed before was not sent.
 * Units:   steady ms, µs where the name says so.
 * @module
 */
import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";
import { clientOptions, UPSTREAM_WINDOW } from "#l7/http2/options.ts";
import type { Http2UpstreamStream, StreamSession } from "#l7/http2/upstream-stream.ts";
import type { UpstreamFault } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import type { ConnectFault, TcpAddress, TcpConn, TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import type { UpstreamSpec } from "#state/http.ts";

/** Silence after which a session with requests is asked whether it lives; and again, while nothing else comes. */
const PING_AFTER_MS = 10_000;
/** Servers of gRPC end connections that ask more often than this. */
const PING_AGAIN_MS = 300_000;
const PONG_WITHIN_MS = 5_000;

export type SessionHost = {
  readonly driver: TcpDriver;
  monotonicMs(): number;
  spec(): UpstreamSpec;
  /** Goes before all else on a connection that is one client's alone. */
  proxyHead(client: Arrived): Uint8Array | undefined;
  /** Requests that it has no room for, now that it is known how many it takes. */
  onSurplus(session: UpstreamSession, streams: Http2UpstreamStream[]): void;
  onIdle(session: UpstreamSession): void;
  onSessionEnd(session: UpstreamSession): void;
};

/** How it is made, and for whom: what all of its requests have in common. */
export type SessionTerms = {
  readonly to: TcpAddress;
  readonly timeoutMs: number;
  /** Undefined: prior knowledge. A connection to one name is not used for another. */
  readonly tls: TlsUpstreamTerms | undefined;
  /** Whose alone it is, where a PROXY header tells the backend so. */
  readonly pinnedTo: Arrived | undefined;
};

const CONNECT_KINDS: Readonly<Record<ConnectFault, UpstreamFault["kind"]>> = {
  refused: "refused",
  unreachable: "unreachable",
  timeout: "connect-timeout",
  other: "other",
};

export class UpstreamSession implements StreamSession {
  readonly terms: SessionTerms;
  readonly isSecure: boolean;
  /** It takes no further request. */
  isLeaving = false;
  lastStream = -1;
  dropped: UpstreamFault["kind"] | undefined;

  readonly #host: SessionHost;
  readonly #streams = new Set<Http2UpstreamStream>();
  #waiting: Http2UpstreamStream[] = [];
  #giveUp: (() => void) | undefined;
  #conn: TcpConn | undefined;
  #socket: Socket | undefined;
  #client: ClientHttp2Session | undefined;
  #stands = false;
  #isOver = false;
  #served = 0;
  #peerStreams: number;
  #sinceMs = 0;
  #standsByMs = 0;
  /** Since when there is no request. */
  #idleMs = 0;
  /** When our GOAWAY was sent; 0: not yet. */
  #closedMs = 0;
  #octets = 0;
  #heardMs = 0;
  /** When it was asked whether it lives; 0: it has answered. */
  #askedMs = 0;
  #nextAskMs = 0;

  /** @param peerStreams how many streams other sessions to this backend were allowed */
  constructor(host: SessionHost, terms: SessionTerms, peerStreams: number) {
    this.#host = host;
    this.terms = terms;
    this.isSecure = terms.tls !== undefined;
    this.#peerStreams = peerStreams;
    this.#dial(terms);
  }

  get client(): ClientHttp2Session {
    return this.#client!;
  }
  get active(): number {
    return this.#streams.size + this.#waiting.length;
  }
  get isIdle(): boolean {
    return this.#stands && this.active === 0;
  }
  get peerStreams(): number {
    return this.#peerStreams;
  }
  get #limit(): number {
    return Math.max(1, Math.min(this.#host.spec().maxStreams, this.#peerStreams));
  }
  /** Whether it may carry what such a session may. */
  suits({ tls, pinnedTo }: SessionTerms): boolean {
    return this.terms.tls?.serverName === tls?.serverName && this.terms.pinnedTo === pinnedTo;
  }
  hasRoom(): boolean {
    return !this.isLeaving && this.active < this.#limit;
  }

  // ── its beginning ──────────────────────────────────────────────────────────────────────────────────────────────

  #dial(dial: SessionTerms): void {
    const { driver } = this.#host;
    this.#sinceMs = this.#host.monotonicMs();
    this.#standsByMs = this.#sinceMs + dial.timeoutMs;
    this.#giveUp = driver.connect(dial.to, dial.timeoutMs, (result) => {
      this.#giveUp = undefined;
      if (typeof result === "string")
        return void this.#fail(CONNECT_KINDS[result], `The backend could not be reached (${result})`);
      this.#conn = result;
      if (dial.tls === undefined) this.#speak();
      else this.#shakeHands(dial.tls);
    });
  }
  #shakeHands(terms: TlsUpstreamTerms): void {
    const { driver } = this.#host;
    if (driver.startTlsClient === undefined) return void this.#fail("tls", "TLS is not spoken here");
    driver.startTlsClient(this.#conn!, { ...terms, alpn: ["h2"], head: this.#proxyHead() }, (agreement) => {
      if (this.#isOver) return;
      if (agreement === undefined) this.#fail("tls", "The TLS handshake failed");
      else if (agreement.alpn !== "h2") this.#fail("tls", "The backend did not agree to HTTP/2");
      else this.#speak();
    });
  }
  #proxyHead(): Uint8Array | undefined {
    return this.terms.pinnedTo && this.#host.proxyHead(this.terms.pinnedTo);
  }
  #speak(): void {
    const { driver } = this.#host;
    const socket = driver.takeSocket?.(this.#conn!) as Socket | undefined;
    if (socket === undefined) return void this.#fail("other", "HTTP/2 is not spoken here");
    socket.on("error", () => {}); // the session hears of it
    if (socket.destroyed) return void this.#fail("reset", "The backend closed the connection");
    const head = this.isSecure ? undefined : this.#proxyHead();
    if (head !== undefined) socket.write(head);
    this.#socket = socket;
    const client = connect(this.isSecure ? "https://backend" : "http://backend", {
      ...clientOptions(this.#host.spec()),
      createConnection: () => socket,
    });
    this.#client = client;
    socket.on("end", () => socket.destroySoon());
    socket.read(0); // it was paused; from now on what comes goes past it, to the session
    client.on("error", () => {}); // `close` comes after it
    client.on("close", () => this.#end());
    client.on("goaway", (_code: number, lastStream: number) => {
      this.isLeaving = true;
      this.lastStream = lastStream;
    });
    client.on("stream", (pushed) => {
      pushed.on("error", () => {});
      pushed.close(); // we said that we take none
    });
    client.on("remoteSettings", (settings) => this.#stand(settings.maxConcurrentStreams));
  }
  #stand(peerStreams: number | undefined): void {
    this.#peerStreams = peerStreams ?? this.#peerStreams;
    if (this.#stands || this.#isOver) return;
    this.#stands = true;
    const nowMs = this.#host.monotonicMs();
    this.#heardMs = this.#idleMs = nowMs;
    this.client.setLocalWindowSize(UPSTREAM_WINDOW.connection);
    const waiting = this.#waiting;
    this.#waiting = [];
    const micros = Math.max(1, Math.round((nowMs - this.#sinceMs) * 1000));
    const surplus: Http2UpstreamStream[] = [];
    for (const stream of waiting) {
      if (stream.isOver) continue;
      if (this.hasRoom()) this.#begin(stream, micros);
      else surplus.push(stream);
    }
    if (surplus.length > 0) this.#host.onSurplus(this, surplus);
    if (this.active === 0) this.#rest();
  }

  // ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where there is room. */
  take(stream: Http2UpstreamStream): void {
    if (this.#stands) this.#begin(stream, 0);
    else this.#waiting.push(stream);
  }
  #begin(stream: Http2UpstreamStream, micros: number): void {
    const { maxRequests } = this.#host.spec();
    const isReused = this.#served > 0;
    this.#served++;
    if (maxRequests > 0 && this.#served >= maxRequests) this.isLeaving = true;
    this.#streams.add(stream);
    stream.begin(this, this.#host.spec(), isReused, micros);
  }
  onStreamClose(stream: Http2UpstreamStream): void {
    if (this.#streams.delete(stream) && this.active === 0 && !this.#isOver) this.#rest();
  }
  #rest(): void {
    this.#idleMs = this.#host.monotonicMs();
    if (this.isLeaving) this.#close();
    else this.#host.onIdle(this);
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  tick(nowMs: number): void {
    if (this.#isOver) return;
    if (this.#client === undefined || !this.#stands) {
      if (nowMs >= this.#standsByMs) this.#fail("connect-timeout", "The backend did not speak HTTP/2 in time");
      return;
    }
    if (this.active === 0) {
      if (this.#closedMs === 0) {
        if (this.terms.pinnedTo?.hasDeparted || nowMs - this.#idleMs >= this.#host.spec().idleMs) this.#close();
      } else if (nowMs - this.#closedMs >= PONG_WITHIN_MS) this.drop("reset"); // the backend does not end its side
      return;
    }
    this.#askIfSilent(nowMs, this.#client);
  }
  #askIfSilent(nowMs: number, client: ClientHttp2Session): void {
    const octets = this.#socket?.bytesRead ?? 0;
    if (octets !== this.#octets) {
      this.#octets = octets;
      this.#heardMs = nowMs;
      this.#nextAskMs = 0;
    }
    if (this.#askedMs > 0) {
      if (nowMs - this.#askedMs >= PONG_WITHIN_MS) this.drop("timeout");
    } else if (
      nowMs - Math.max(this.#heardMs, this.#idleMs) >= PING_AFTER_MS &&
      nowMs >= this.#nextAskMs &&
      !client.closed
    ) {
      this.#askedMs = nowMs;
      client.ping(() => {
        this.#askedMs = 0;
        this.#octets = this.#socket?.bytesRead ?? 0; // the answer itself is no sign of work
        this.#nextAskMs = this.#host.monotonicMs() + PING_AGAIN_MS;
      });
    }
  }

  /** No request goes here any more; those that are under way go on. */
  leave(): void {
    this.isLeaving = true;
    if (this.isIdle && this.#closedMs === 0) this.#close();
  }
  /** Ends it at once; its requests fail. */
  drop(kind: UpstreamFault["kind"]): void {
    if (this.#isOver) return;
    this.dropped = kind;
    this.#fail(kind, "The connection to the backend was dropped");
  }
  #close(): void {
    this.isLeaving = true;
    this.#closedMs = this.#host.monotonicMs();
    this.#client?.close();
  }
  #fail(kind: UpstreamFault["kind"], says: string): void {
    this.#giveUp?.();
    const client = this.#client;
    for (const stream of this.#streams) stream.fail(kind, says, true);
    for (const stream of this.#waiting) stream.fail(kind, says, false);
    this.#end();
    this.#conn?.reset();
    client?.destroy();
  }
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.isLeaving = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    const isStanding = this.#stands;
    for (const stream of waiting)
      stream.fail(
        isStanding ? "reset" : "bad-response",
        "The backend closed the connection, or does not speak HTTP/2",
        false,
      );
    this.#host.onSessionEnd(this);
  }
}
