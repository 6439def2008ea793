/**
 * The contract between who serves a TCP listener (`l4/`, `l7/`) and what moves its octets (a driver).
 *
 * Owns:    types, and one number. Drivers: `net-driver.ts` (sockets of node:net, also TLS) and `epoll/` (one epoll loop
 *          over system calls). `test/net/driver-contract.ts` holds both to the same behaviour.
 * Rules:   callbacks come from the driver's loop, never from inside the call that asked for them. A driver never throws
 *          for what a peer or the network does. Reading stops where nobody asked for octets, so that the kernel's window
 *          closes: memory per connection is bounded.
 * Units:   steady ms, µs where the name says so, octets.
 * @module
 */
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import type { TlsContexts } from "#tls/contexts.ts";

export type TcpAddress = { readonly address: string; readonly port: number };

/** An accepted or connected socket that is not relayed yet. */
export type TcpConn = {
  /** Peer and own end. */
  readonly remote: TcpAddress;
  readonly local: TcpAddress;
  /** Of its socket, for what is asked of the kernel besides; undefined: it has none, or none any more. */
  readonly descriptor?: number | undefined;
  /** Of a server met by `startTlsClient`: it ended without saying so (close_notify). Where it ended may be anybody's doing. */
  readonly isCut?: boolean;
  /**
   * Shows all octets that came and were not consumed, at once where some are there, and again when more come; never more
   * than `maxOctets`. The look returns how many it consumes to end the reading (0 and more), or -1 to see more. What is
   * not consumed is relayed first. `undefined` instead of octets: the peer ended, was reset, sent `maxOctets` without an
   * end, or `timeoutMs` is over; then there is no further call, nor after another `read` or a relay has begun.
   */
  read(
    options: { readonly maxOctets: number; readonly timeoutMs: number },
    look: (octets: Uint8Array | undefined, why: ReadEnd | undefined) => number,
  ): void;
  /**
   * From now on octets come to `owner` as they arrive, unless paused; first those that were read and not consumed. Called
   * again, it gives the conn another owner, who is told of an end that came before, too. A conn that streams is not read or
   * relayed any more. Who writes must stream first.
   */
  stream(owner: StreamOwner): void;
  /** No more `onOctets` and no `onEnd` until `resume`, not even from what has arrived already. */
  pause(): void;
  resume(): void;
  /**
   * What is written from within one call-back goes out together at its end; outside of one, in the same turn of the loop.
   * Octets that the kernel does not take are copied: the caller may use them again at once. After an end nothing is written.
   * @returns false: more than `STREAM_HIGH_WATER` octets wait; `onRoom` comes when there are less
   */
  write(octets: Uint8Array): boolean;
  /** As `write`, of text whose code units are octets (latin1). */
  writeText(latin1: string): boolean;
  /** Ends our half (FIN) after all that was written. The peer may go on. */
  finish(): void;
  /** Octets written that the kernel has not taken. */
  unsent(): number;
  /**
   * Ends it in order (FIN), without waiting for the peer. @param last goes before that, as far as there is room for it.
   * A conn that streams sends all that was written first, as long as the peer takes some of it every 30 s. What the peer
   * sends after that is answered by RST, which may overtake what it has not read: where that matters, `finish` first, and
   * close when it has ended.
   */
  close(last?: Uint8Array): void;
  /** Ends it by RST. */
  reset(): void;
};

/** Whom a conn that streams tells. Never called from inside a call to the conn; nothing comes after `close` or `reset`. */
export type StreamOwner = {
  /** The view is valid during the call alone. */
  onOctets(octets: Buffer): void;
  /** The peer has ended its half: nothing more comes from it. */
  onEnd(): void;
  /** There is room again, after a write that said there is none. */
  onRoom(): void;
  /** Reset by the peer, or broken: the conn is gone, and nothing comes after this. It may come while paused. */
  onGone(): void;
};
/** Octets that may wait in a conn before a writer is asked to stop. */
export const STREAM_HIGH_WATER = 65_536;
export type ReadEnd = "ended" | "reset" | "too-long" | "timeout";

/** `other`: also where the address is no IP address; names are not resolved here. */
export type ConnectFault = "refused" | "timeout" | "unreachable" | "other";

/** What outlives a limit is ended by RST both ways: a stream that was cut must not look complete. */
export type RelayOptions = {
  /** Goes to the upstream before anything of the client: a PROXY header. */
  readonly head: Uint8Array | undefined;
  /** Nothing either way for so long ends both; 0: never. */
  readonly idleMs: number;
  readonly lifetimeMs: number;
  /** As `idleMs`, once one side has ended. */
  readonly halfCloseMs: number;
};

/** Why a relay is over. `closed`: both sides ended in order. A reset of one side was handed on to the other. */
export type RelayReason = "closed" | "client-reset" | "upstream-reset" | "idle" | "lifetime" | "stopped";
export type RelayEnd = {
  readonly reason: RelayReason;
  /** The head is not counted. */
  readonly octetsToUpstream: number;
  readonly octetsToClient: number;
};
export type Relay = {
  /** Ends both by RST. `done` comes with `stopped`. */
  stop(): void;
};

export type DriverListener = {
  /** Takes what waits in the accept queue, then closes the socket, then calls `closed`. Connections live on. */
  close(closed?: () => void): void;
};

/** How a TLS client is met. */
export type TlsTerms = {
  /** Certificates by the name that the client sends, unchecked; whether it must show one itself; its sessions. */
  readonly contexts: TlsContexts;
  /** Offered by ALPN, in the order of preference; a client that offers others alone is refused (RFC 7301 §3.2). Empty: none. */
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
};
/** What came of a handshake. */
export type TlsAgreement = {
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  /** `TLSv1.3`, and the name of the cipher. */
  readonly version: string;
  readonly cipher: string;
  /** Of the peer's certificate, where one came and was verified. */
  readonly peer: TlsPeer | undefined;
};
export type TlsPeer = {
  /** RFC 4514 text of the subject, such as `CN=client`. */
  readonly subject: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
};

/** How a TLS server is met, as its client. */
export type TlsUpstreamTerms = {
  /** With the authorities that are trusted, and our own certificate if there is one. */
  readonly context: SecureContext;
  /** Sent by SNI and looked for in the certificate; undefined: none is sent, and the address is looked for. */
  readonly serverName: string | undefined;
  /** False: whoever answers is believed. */
  readonly isVerified: boolean;
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  /** Of this server under this name: the session that it gave last is taken up again. Undefined: each begins anew. */
  readonly sessions: { last: Buffer | undefined } | undefined;
  /** Goes before the handshake, in clear: a PROXY header. */
  readonly head?: Uint8Array | undefined;
};

export type TcpDriver = {
  /**
   * @param fd a bound socket (made by `net.BoundSocket`, with SO_REUSEPORT); the driver listens on it and owns it
   * @throws what the system says, as an Error with `code`
   */
  listen(fd: number, backlog: number, accept: (conn: TcpConn) => void): DriverListener;
  /** `done` comes once. @returns how to give up: then `done` does not come any more */
  connect(to: TcpAddress, timeoutMs: number, done: (result: TcpConn | ConnectFault) => void): () => void;
  /**
   * Relays until both sides are done; both conns belong to it from now on. Half-close is kept: the end of one side is
   * handed on, the other goes on. `firstOctet` comes with the first octet from the upstream.
   */
  relay(
    client: TcpConn,
    upstream: TcpConn,
    options: RelayOptions,
    done: (end: RelayEnd) => void,
    firstOctet: () => void,
  ): Relay;
  /**
   * Does the handshake with a client (TLS 1.2 or 1.3); what was read of the conn and not consumed belongs to it. From then
   * on the conn shows and takes plain octets. Only of drivers that can. `done` comes once, with undefined where the
   * handshake failed; the conn is ended then.
   */
  startTls?(client: TcpConn, terms: TlsTerms, done: (agreement: TlsAgreement | undefined) => void): void;
  /**
   * Does the handshake as a client, on a conn of `connect`; else as `startTls`. A certificate that is not good is a failure;
   * `why` says what was wrong.
   */
  startTlsClient?(
    upstream: TcpConn,
    terms: TlsUpstreamTerms,
    done: (agreement: TlsAgreement | undefined, why: string | undefined) => void,
  ): void;
  /**
   * Lets go of a conn that does not stream yet, for who speaks a protocol by Node's own means (HTTP/2). What was read and
   * not consumed is read from the socket again; it is paused. Only of drivers whose conns are sockets of Node.
   */
  takeSocket?(conn: TcpConn): Duplex;
  /** Sockets of all kinds that it holds. */
  open(): number;
  /** Resets everything that is left. */
  close(): void;
};
