/**
 * The contract between an exchange (one request and its response) and its two ends, HTTP/1.1 or HTTP/2 each.
 *
 * Owns:    types alone.
 *
 *   client ── ClientStream ──→ Exchange ── UpstreamStream ──→ backend
 *          ←─────────────────          ←───────────────────
 *
 * Rules:   an end never throws for what its peer does, and calls nothing after it has said that it is over (`onClientGone`,
 *          `onUpstreamEnd`, `onUpstreamFault`) or was ended (`abort`, `cancel`). Bodies are payload alone: framing was taken off
 *          and is put on again. After `sendHead(101)` both ends carry raw octets, both ways, until both have ended.
 *          Views of octets are valid during the call alone. Calls that end something never call back from within.
 * Units:   octets, steady ms, µs where the name says so.
 * @module
 */
import type { Deadlines } from "#l7/exchange/deadlines.ts";
import type { KnownOutbound } from "#l7/known-fields.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { Arrived } from "#net/arrival.ts";
import type { BackendSpec } from "#state/balancer.ts";

// ── the client's end ─────────────────────────────────────────────────────────────────────────────────────────────

export type ClientStream = {
  /** Who the connection belongs to. */
  readonly arrived: Arrived;
  /** 103 and the like; to HTTP/1.0 it is not sent (RFC 9110 §15.2). */
  sendInformational(status: number, fields: Fields): void;
  /** Lets the client send the body that it waits with (100), and body octets come. Called once, where a body is wanted. */
  wantBody(): void;
  pauseBody(): void;
  resumeBody(): void;
  /**
   * The final head, once. Its `bodyOctets` decide about framing; a body that the request's method or the status has no room
   * for is dropped by who sends (`sendBody` is not called then).
   * @param isLast the connection takes no further request (HTTP/1.1 `Connection: close`, HTTP/2 GOAWAY)
   */
  sendHead(head: ResponseHead, isLast: boolean): void;
  /** @returns false: wait for `onClientRoom` */
  sendBody(octets: Uint8Array): boolean;
  /** The response is complete. What is left of the request's body is read and dropped, or the connection closed. */
  sendEnd(trailers: Fields | undefined): void;
  /** The response cannot be completed: the client must see that (HTTP/1.1: reset, HTTP/2: RST_STREAM). */
  abort(): void;
};

/** What a client's end tells its exchange. */
export type ClientEvents = {
  onBody(octets: Buffer): void;
  /** Not where the head said that there is no body. */
  onBodyEnd(trailers: Fields | undefined): void;
  onClientRoom(): void;
  /**
   * The client has gone, or broke a rule amid its body; nothing more can be sent.
   * @param reply what to answer if nothing was answered yet: a fault of the body's framing (400), a time-out (408). The
   *   client's end sends it by itself; it is told for the log
   */
  onClientGone(status: number | undefined): void;
};

/**
 * A client's connection, of either version. Its limits and time-outs are those of the configuration that it was accepted
 * under; each of its requests is routed by the configuration of now.
 */
export type ClientConnection = {
  /** No request is under way on it. */
  readonly isIdle: boolean;
  /** Of an idle one: since when. */
  readonly idleSinceMs: number;
  /** It takes no further request: the next head says so (HTTP/1.1 `Connection: close`, HTTP/2 GOAWAY); an idle one is closed. */
  drain(): void;
  /** Ends it by RST; exchanges that are under way hear `onClientGone`, and the host `onConnectionEnd`. */
  stop(): void;
  /** About every 50 ms, for those that do not use `ConnectionHost.deadlines`. */
  tick?(nowMs: number): void;
};

/** Whom a client's connection belongs to: its listener. */
export type ConnectionHost = {
  /** Of all connections and exchanges of the listener. */
  readonly deadlines: Deadlines;
  /** A request's head was read. Its exchange hears the rest of it, and may answer from within this call. */
  onRequest(stream: ClientStream, head: RequestHead): ClientEvents;
  /** What could not be read as a request was answered with this status, by the connection itself. */
  onBadRequest(arrived: Arrived, status: number, rule: string): void;
  /** It is gone; nothing comes after this. Called once, also after `drain` and `stop`. */
  onConnectionEnd(connection: ClientConnection): void;
};

// ── the backend's end ────────────────────────────────────────────────────────────────────────────────────────────

/** A request as it goes to the backend: its fields are complete but for Host, framing and `Connection`. */
export type OutboundRequest = RequestHead & {
  /** Where another request was told the same: its fields are these, with this request's id. */
  readonly told?: KnownOutbound | undefined;
};

/** Where in its life a request was when its upstream failed. */
export type UpstreamFault = {
  readonly kind:
    | "refused"
    | "unreachable"
    | "connect-timeout"
    | "tls"
    /** Reset or closed; `hasAnswered` tells whether an octet of a response had come. */
    | "reset"
    | "timeout"
    /** The response broke a rule of framing. */
    | "bad-response"
    | "other";
  /** The connection had served a request before: it may have been closed while we sent. */
  readonly isReused: boolean;
  readonly hasAnswered: boolean;
  /** Whether any octet of the request was given to the kernel. */
  readonly hasSent: boolean;
  readonly says: string;
};

export type UpstreamEvents = {
  /**
   * The request's head is on its way on a connection that stands; now a body may be sent. @param micros the connect took;
   * 0: it stood already, and this comes from within `open`
   */
  onUpstreamReady(micros: number): void;
  /** The body is waited for (100 Continue of the backend). */
  onUpstreamContinue(): void;
  onInformational(status: number, fields: Fields): void;
  onHead(head: ResponseHead): void;
  onUpstreamBody(octets: Buffer): void;
  onUpstreamEnd(trailers: Fields | undefined): void;
  onUpstreamRoom(): void;
  /** It failed, before or amid the response. Nothing comes after it. */
  onUpstreamFault(fault: UpstreamFault): void;
};

export type UpstreamStream = {
  /** @returns false: wait for `onUpstreamRoom` */
  sendBody(octets: Uint8Array): boolean;
  sendEnd(trailers: Fields | undefined): void;
  /** Of the response. */
  pause(): void;
  resume(): void;
  /** Nobody wants the response any more. HTTP/1.1: the connection is not used again. */
  cancel(): void;
};

/** Connections to the backends of one pool, of one protocol, in one worker. */
export type UpstreamPool = {
  /**
   * Sends a request on a connection that stands idle, or a new one. From within it comes `onUpstreamReady`, and nothing else.
   * @param isFresh never on one that has served another request: what is sent must not be sent twice
   */
  open(
    row: number,
    backend: BackendSpec,
    request: OutboundRequest,
    events: UpstreamEvents,
    options: { readonly isFresh: boolean; readonly connectTimeoutMs: number; readonly arrived: Arrived },
  ): UpstreamStream;
  /** Closes idle connections to a backend, and lets no connection to it be used again. */
  leave(row: number): void;
  /** Ends all at a backend: its time to drain is over. */
  stop(row: number): void;
  idle(): number;
  tick(nowMs: number): void;
  close(): void;
};
