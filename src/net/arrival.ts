/**
 * How a client arrives, whatever it speaks: PROXY header, access, limits, TLS handshake.
 *
 * Owns:    types, for now.
 * @module
 */
import type { TcpAddress, TcpConn, TlsAgreement } from "#net/driver.ts";

/** A client that may come in. */
export type Arrived = {
  readonly conn: TcpConn;
  /** The client: of the PROXY header where there is one, else of the socket. */
  readonly source: TcpAddress;
  /** Where it went to: as above. */
  readonly destination: TcpAddress;
  /** Undefined: plain. */
  readonly tls: TlsAgreement | undefined;
};
