/**
 * The contract between what a TCP listener decides (`serve-tcp.ts`) and what moves its octets (a driver).
 *
 * Owns:    types alone. Drivers: `net-driver.ts` (sockets of node:net, also TLS) and `epoll/` (one epoll loop
 *          over system calls). `test/net/driver-contract.ts` holds both to the same behaviour.
 * Rules:   callbacks come from the driver's loop, never from inside the call that asked for them. A driver never throws
 *          for what a peer or the network does. Reading stops where nobody asked for octets, so that the kernel's window
 *          closes: memory per connection is bounded.
 * Units:   steady ms, µs where the name says so, octets.
 * @module
 */
import type { SecureContext } from "node:tls";

export type TcpAddress = { readonly address: string; readonly port: number };

/** An accepted or connected socket that is not relayed yet. */
export type TcpConn = {
  /** Peer and own end. */
  readonly remote: TcpAddress;
  readonly local: TcpAddress;
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
  /** Ends it in order (FIN), without waiting. @param last goes before that, as far as there is room for it */
  close(last?: Uint8Array): void;
  /** Ends it by RST. */
  reset(): void;
};
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
  /** The certificate for a name; in the usual case the name is what the client sent, unchecked. Does not throw. */
  choose(serverName: string | undefined): SecureContext;
  /** Offered by ALPN, in the order of preference; a client that offers others alone is refused (RFC 7301 §3.2). Empty: none. */
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
};
/** What came of a handshake. */
export type TlsAgreement = { readonly serverName: string | undefined; readonly alpn: string | undefined };

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
  /** Sockets of all kinds that it holds. */
  open(): number;
  /** Resets everything that is left. */
  close(): void;
};
